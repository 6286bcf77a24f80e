"""The benchmark itself, at a small size: whatever the machine is doing, nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.__main__ import main

SMALL = (
    "--rows 300 --candidates 30 --slate-size 4 --history 8 --dim 8 --users 200 --rps 40 "
    "--parts load kill swap disk redis nats --seconds 1 --probe-seconds 0.3 --overload-seconds 1 "
    "--kills 2 --kill-rps 60 --outage-rps 60 --outage-seconds 3"
)


@pytest.mark.slow
def test_nothing_is_lost_whatever_happens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Load, overload, kill -9, a full disk, and stores that are killed."""
    status = main(["benchmark", "serving", *SMALL.split(), "--folder", str(tmp_path)])
    out, err = capsys.readouterr()
    assert status == 0, err
    promises = (
        "violations",
        "not in the log",
        "gaps",
        "histories",
        "torn",
        "by the policy, during",
    )
    kept = [line for line in out.splitlines() if any(word in line for word in promises)]
    assert len(kept) >= 20, out
    assert [line for line in kept if line.endswith("MISSED")] == [], out
