"""Runs that are stopped at a moment: what is wrong afterwards is found, and a sound one is not."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from experiments.__main__ import main
from experiments.reliability.kills.jobs import JOBS, append_parts, leftovers
from experiments.reliability.kills.launching import BrokenPromiseError, Ended, check_end
from offpolicy import read_log


def test_ends_that_break_the_promise_are_told_apart() -> None:
    fine = Ended(143, 0.1, 0, "longplay compare: stopped", 0)
    check_end(fine, signal.SIGTERM)
    check_end(fine._replace(status=-9, errors=""), signal.SIGKILL)
    check_end(fine._replace(status=0, errors=""), signal.SIGINT)
    for broken, said in (
        (fine._replace(left=1), "1 processes were left"),
        (fine._replace(status=None), "did not end"),
        (fine._replace(status=1), "status 1"),
        (fine._replace(errors=""), "it said"),
        (fine._replace(errors="stopped Traceback"), "it said"),
    ):
        with pytest.raises(BrokenPromiseError, match=said):
            check_end(broken, signal.SIGTERM)


def test_a_log_that_was_stopped_is_gone_on_with(tmp_path: Path) -> None:
    job = JOBS["write and append"]
    append_parts(str(tmp_path))
    whole = job.contents(tmp_path)
    job.intact(tmp_path, 0)
    assert append_parts(str(tmp_path)) == 0
    assert job.contents(tmp_path) == whole
    assert leftovers(tmp_path) == []
    (tmp_path / ".log.writing-0123456789ab").mkdir()
    assert leftovers(tmp_path) == [".log.writing-0123456789ab"]
    assert len(read_log(tmp_path / "log")) == 480


def test_a_log_and_a_server_outlive_every_signal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stops = ["--kills", "1", "--terms", "1", "--interrupts", "1", "--workers", "1"]
    jobs = ["--jobs", "write and append", "serve"]
    assert main(["benchmark", "kills", *stops, *jobs, "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "| serve | SIGKILL |" in out
    assert main(["benchmark", "kills", "--jobs", "nothing"]) == 2
