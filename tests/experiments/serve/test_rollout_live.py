"""A rollout beside a real server under real traffic: a canary that users like less is taken back,
and one that is as good serves all users in the end."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from experiments.__main__ import main
from serving.rollout.journal import Journal
from tests.serving.http.factories import Caller
from tests.serving.registry.factories import A, C, make_registry

Liked = Callable[[str], float]  # version -> how often its slates are liked
RULE = (
    "--reward liked=1 --window 1s --shadow 100 --stages 0.3 0.5 1 --margin 0.3 --least 1s "
    "--last 1s --recent 2s --most 10min --least-users 20 --p99-ms 60000 --silent 5min"
)
SLOW = ("--limits.deadline-ms", "10000", "--limits.user-requests", "1e6", "--poll", "0.2")


@contextmanager
def served(registry: Path) -> Iterator[str]:
    """`longplay serve` in a process of its own, on a machine however slow."""
    process = subprocess.Popen(
        [sys.executable, "-m", "experiments", "serve", "--registry", str(registry), "--port", "0",
         *SLOW],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        found = re.match(r"serving on (http://127\.0\.0\.1:\d+)\n", process.stdout.readline())
        assert found is not None
        yield found[1]
    finally:
        process.terminate()
        process.communicate(timeout=30)


def users(url: str, over: threading.Event, numbers: Iterator[int], liked: Liked) -> Counter[str]:
    """New users, one after another: each is shown a slate and likes it or not."""
    shown = Counter[str]()
    with Caller(url) as caller:
        while not over.is_set():
            n = next(numbers)
            rng = np.random.default_rng(n)
            offer = [f"item-{i}" for i in rng.permutation(A)[:C]]
            asked = {"request_id": f"r{n}", "user": f"user {n}", "session": "s", "context": [0.0]}
            status, slate = caller.post("/decide", asked | {"candidates": offer})
            assert status == 200, slate
            shown[slate["policy"]] += 1
            if rng.random() < liked(slate["policy"]):
                told = {"outcome_id": f"o{n}", "decision_id": f"r{n}", "user": f"user {n}"}
                assert caller.post("/outcome", told | {"kind": "liked"})[0] == 200
            over.wait(0.02)
    return shown


def release(*options: object) -> int:
    return main(["release", *map(str, options)])


@pytest.mark.slow
def test_a_worse_canary_goes_back_and_an_equal_one_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One server all the time, whose users go on beside both rollouts."""
    monkeypatch.chdir(Path(__file__).resolve().parents[3])
    registry, (a, b, c) = make_registry(tmp_path, 3)
    registry.promote(a, by="ann")
    over, numbers = threading.Event(), itertools.count()

    def rolled_out(version: str) -> tuple[int, str]:
        given = ("--registry", registry.folder)
        assert release("canary", version, *given, *RULE.split()) == 0
        status = release("watch", *given, "--every", "0.5s")
        return status, capsys.readouterr().out

    with served(registry.folder) as url, ThreadPoolExecutor(3) as pool:
        liked: Liked = lambda version: 0.1 if version == b else 0.9  # noqa: E731
        sent = [pool.submit(users, url, over, numbers, liked) for _ in range(3)]
        try:
            while next(numbers) < 60:
                over.wait(0.02)
            status, said = rolled_out(b)
            assert status == 1, said
            assert "soft stop: reward" in said
            assert (registry.pointer().live, registry.pointer().canary) == (a, None)
            status, said = rolled_out(c)
        finally:
            over.set()
        shown = sum((one.result() for one in sent), Counter())
    assert 0 < shown[b] < shown[a]
    assert status == 0, said
    assert (registry.pointer().live, registry.pointer().canary) == (c, None)
    record, made = Journal(registry.folder).load(), Journal(registry.folder).made()
    assert record is not None
    assert record.state.phase == "done"
    weights = [one.state.weight for one in made if one.rollout == record.rollout]
    assert sorted(weights) == weights, "it never went back"
    assert [w for w, _ in itertools.groupby(weights)] == [0.0, 0.3, 0.5, 1.0]
