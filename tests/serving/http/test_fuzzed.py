"""A fuzzer that has read the description finds no server error and no answer that is not in it.

The full run is the same command against `longplay serve`, with `-n` in the thousands.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from serving.explaining.explain import explain
from serving.http.running import running
from serving.metrics.metrics import Metrics
from serving.page.files import page_files
from serving.privacy.forgetting import forget_served
from tests.serving.http.factories import tiny_engine, tiny_service

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,response_headers_conformance,negative_data_rejection,"
    "unsupported_method,allow_header_conformance"
)
OPTIONS = "--phases coverage,fuzzing --seed 1 --no-shrink --continue-on-failure"
CASES = 10  # of a route, beside those that cover every keyword of its schema


@pytest.mark.skipif(not SCHEMATHESIS.exists(), reason="schemathesis is not installed")
def test_the_fuzzer_finds_nothing(tmp_path: Path) -> None:
    engine = tiny_engine()
    service = tiny_service(
        engine,
        metrics=Metrics(),
        explain=lambda body: explain(engine, body).to_json(),
        forget=lambda user: forget_served(engine, user).to_json(),
        page=page_files(),
    )
    with running(service) as url:
        command = [str(SCHEMATHESIS), "run", f"{url}/openapi.json", "-n", str(CASES)]
        done = subprocess.run(
            [*command, *OPTIONS.split(), "-c", CHECKS],
            cwd=tmp_path, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4_000:]
    assert "No issues found" in done.stdout
    assert engine.counts["decisions"] > 0, "some of it was answered"
