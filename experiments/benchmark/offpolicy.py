"""`longplay benchmark offpolicy`: time and memory of the evaluator, a process for each case."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tyro

Case = Literal["import", "columns", "small", "slates", "stream", "stream-files", "large-actions"]
CASES: tuple[Case, ...] = (
    "import", "columns", "small", "slates", "stream", "stream-files", "large-actions"
)  # fmt: skip
SEVEN = ("ips", "clipped_ips", "snips", "dm", "dr", "sndr", "switch_dr")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Measure; one line per case."""

    cases: tyro.conf.Positional[tuple[Case, ...]] = CASES
    """Which cases."""
    scale: float = 1.0
    """Share of the full size: 1 is 1e7 rows of columns, 2e7 of Parquet (in 10 and 1,000 files)."""
    here: bool = False
    """Run in this process (used for the processes that measure)."""


def run(settings: Settings) -> int:
    """Each case in a fresh single-threaded interpreter."""
    if settings.here:
        for case in settings.cases:
            print(RUNNERS[case](settings.scale), flush=True)
        return 0
    quiet = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    program = "from experiments.benchmark.offpolicy import Settings, run; "
    for case in settings.cases:
        call = f"run(Settings(cases=({case!r},), scale={settings.scale}, here=True))"
        line = [sys.executable, "-c", program + call]
        done = subprocess.run(line, env=quiet, check=True, stdout=subprocess.PIPE, text=True)
        print(done.stdout, end="", flush=True)  # through this process's own output
    return 0


def _peak() -> float:
    """Largest resident size of this process so far, MB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _measured(name: str, work: Callable[[], object]) -> str:
    before, wall, cpu = _peak(), time.perf_counter(), time.process_time()
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return f"{name}: {wall:.2f} s, {cpu:.2f} s of CPU, {_peak() - before:.0f} MB above its input"


def _import(_: float) -> str:
    program = (
        "import time; a = time.process_time(); import offpolicy; b = time.process_time(); "
        "import resource; m = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024; "
        "print(f'import offpolicy: {b - a:.2f} s of CPU, {m:.0f} MB in all')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def _columns_of(n: int) -> str:
    from offpolicy import Terms, diagnose, estimate_all, interval

    rng = np.random.default_rng(0)
    weight, reward = rng.exponential(size=n), (rng.random(n) < 0.1).astype(np.float64)
    q, v, unit = rng.random(n), rng.random(n), np.repeat(np.arange(n // 5), 5)

    def work() -> None:
        t = Terms(weight, reward, q, v, unit)
        for e in estimate_all(t, SEVEN).values():
            interval(e)
        diagnose(t)

    return _measured(f"seven estimators, ESS, intervals; {n:,} rows, {n // 5:,} units", work)


def _small(_: float) -> str:
    from offpolicy import Terms, estimate, interval

    rng = np.random.default_rng(0)
    t = Terms(rng.exponential(size=100_000), rng.random(100_000), None, None, np.arange(100_000))
    interval(estimate(t, "snips"))
    return _measured("default interval, 100,000 rows", lambda: interval(estimate(t, "snips")))


def _slates(scale: float) -> str:
    from offpolicy import LoggedDataset, TargetScores, estimate, interval
    from offpolicy.weighting.slates import slate_terms

    n = int(1e6 * scale)
    rng = np.random.default_rng(0)
    base = rng.integers(0, 97, n)
    places = rng.uniform(0.2, 0.9, (n, 3))
    target = np.clip(places * rng.uniform(0.7, 1.3, (n, 3)), 0, 1)
    log = LoggedDataset.from_columns(
        session=np.arange(n), step=np.zeros(n, np.int32),
        slate=np.stack([base, base + 1, base + 2], axis=1), propensity=places.prod(1),
        position_propensity=places, position_reward=rng.random((n, 3)), reward=rng.random(n),
        n_items=100,
    )  # fmt: skip
    scores = TargetScores(target.prod(1), target)
    return _measured(
        f"RIPS with interval, {n:,} slates of 3",
        lambda: interval(estimate(slate_terms(log, scores, weighting="cascade"), "rips")),
    )


def _stream(scale: float) -> str:
    return _streamed(10, int(2e6 * scale) // 5 * 5, hashed=False)


def _stream_files(scale: float) -> str:
    files = max(int(1000 * min(10 * scale, 1)), 20)
    return _streamed(files, int(2e7 * scale / files) // 5 * 5, hashed=True)


def _streamed(files: int, rows: int, *, hashed: bool) -> str:
    from offpolicy.streaming.stream import StreamSpec, stream_estimates

    with tempfile.TemporaryDirectory() as folder:
        writer = "experiments.benchmark.offpolicy"
        call = f"write_parts({folder!r}, {files}, {rows}, {hashed})"
        program = f"from {writer} import write_parts; {call}"
        subprocess.run([sys.executable, "-c", program], check=True)  # not in this one's memory
        spec = StreamSpec(horizon="per_decision", estimators=("pdis",))
        ids = "hashed" if hashed else "increasing"
        return _measured(
            f"PDIS with interval over {files} Parquet files of {rows:,} rows, {ids} ids, 2 threads",
            lambda: stream_estimates(folder, spec, executor="threads:2"),
        )


def write_parts(folder: str, files: int, rows: int, hashed: bool) -> None:
    """Files of whole sessions of five steps; hashed ids stand in no order and in every range."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    sessions = rows // 5
    for k in range(files):
        p = rng.uniform(0.2, 0.9, rows)
        ids = np.arange(sessions) + k * sessions
        if hashed:
            ids = (ids.astype(np.uint64) * np.uint64(0xD1342543DE82EF95)).astype(np.int64)
        table = pa.table(
            {
                "session": np.repeat(ids, 5),
                "step": np.tile(np.arange(5, dtype=np.int32), sessions),
                "propensity": p,
                "target": np.clip(p * rng.uniform(0.7, 1.3, rows), 0, 1),
                "reward": (rng.random(rows) < 0.3).astype(np.float64),
            }
        )
        pq.write_table(table, Path(folder) / f"part-{k:04d}.parquet", compression="zstd")


def _large(scale: float) -> str:
    from offpolicy import estimate, interval
    from offpolicy.weighting.large_actions import offcem_terms

    n, n_actions = int(1e6 * scale), 1000
    rng = np.random.default_rng(0)
    action, reward = rng.integers(0, n_actions, n), rng.random(n)
    x, theta = rng.standard_normal((n, 4)), rng.standard_normal((4, n_actions)) / 4
    cluster = np.arange(n_actions) % 50

    def policies(rows: slice) -> tuple[np.ndarray, np.ndarray]:
        e = np.exp(x[rows] @ theta)
        return np.broadcast_to(1 / n_actions, e.shape), e / e.sum(1, keepdims=True)

    def work() -> None:
        t = offcem_terms(policies, action=action, cluster=cluster, reward=reward)
        interval(estimate(t, "offcem"))

    return _measured(f"cluster weights, {n:,} rows x {n_actions:,} actions", work)


RUNNERS: dict[Case, Callable[[float], str]] = {
    "import": _import,
    "columns": lambda scale: _columns_of(int(1e7 * scale) // 5 * 5),
    "small": _small,
    "slates": _slates,
    "stream": _stream,
    "stream-files": _stream_files,
    "large-actions": _large,
}
