"""`longplay serve`: what it says where it cannot serve, and of itself."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments.__main__ import main
from policies import save
from policies.baselines.uniform import uniform
from serving import Catalogue, Registry
from tests.factories import make_serving


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    save(uniform(make_serving(5, user_size=0)), tmp_path / "policy")
    found = Registry(tmp_path / "registry")
    found.promote(found.add(tmp_path / "policy", catalogue=Catalogue(map(str, np.arange(5)))))
    return found.folder


def said(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """On stderr, of a command that fails."""
    assert main(["serve", *options]) == 2
    return capsys.readouterr().err


def test_what_is_missing_is_said(
    registry: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nothing = tmp_path / "nothing"
    assert "longplay release add" in said(capsys, "--registry", str(nothing))
    assert not nothing.exists()
    given = ("--registry", str(registry))
    (tmp_path / "token").write_text("short")
    assert "16 visible" in said(capsys, *given, "--token-file", str(tmp_path / "token"))
    assert "body_bytes" in said(capsys, *given, "--limits.body-bytes", "0")
    assert "redis://" in said(capsys, *given, "--events", "ftp://nowhere")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert "pip install 'longplay[serve]'" in said(capsys, *given)


def test_listening_to_everybody_without_a_token_is_warned_of(
    registry: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("LONGPLAY_TOKEN", raising=False)
    given = ["serve", "--registry", str(registry), "--port", "0", "--seconds", "0.1"]
    with caplog.at_level(logging.WARNING):
        assert main([*given, "--host", "0.0.0.0"]) == 0
        assert "without a token" in caplog.text
        caplog.clear()
        (tmp_path / "token").write_text("x" * 30)
        assert main([*given, "--host", "0.0.0.0", "--token-file", str(tmp_path / "token")]) == 0
        assert main(given) == 0
    assert "without a token" not in caplog.text
    assert "serving on http://127.0.0.1:" in capsys.readouterr().out
