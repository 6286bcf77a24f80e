"""The commands of README's serving section work as they stand, with real curl."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from offpolicy import read_log

README = Path(__file__).resolve().parents[3] / "README.md"
SECTION = re.search(
    r"^## Serve$.*?^```sh\n(.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE
)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_commands_of_the_readme_work(tmp_path: Path) -> None:
    """In another folder, at a free port; what is installed is not installed again."""
    assert SECTION is not None, "README has a section `Serve` with commands"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    commands = re.sub(r"^.*pip install.*\n", "", SECTION[1], flags=re.MULTILINE)
    commands = commands.replace(".venv/bin/python", sys.executable)
    commands = commands.replace(".venv/bin/longplay", f"{sys.executable} -m experiments")
    commands = commands.replace("longplay serve", f"longplay serve --port {port}")
    commands = commands.replace("-m experiments serve", f"-m experiments serve --port {port}")
    commands = commands.replace("localhost:8080", f"localhost:{port}")
    script = "set -e\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n" + commands
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answers = [json.loads(found) for found in re.findall(r"\{\".*\}", done.stdout)]
    by_key = {key: answer for answer in answers for key in answer}
    assert by_key["status"]["status"] == "ready"
    assert by_key["items"]["items"], "a slate"
    assert by_key["items"]["fallback"] is None
    assert by_key["kept"] == {"kept": 1}
    assert by_key["type"]["type"] == "explanation"
    assert "longplay_decisions" in done.stdout
    log = read_log(tmp_path / "served")
    assert (len(log), log.reward.sum()) == (1, 1.0)
