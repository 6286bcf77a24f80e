"""What is stopped: commands and writers of tiny size, and what their ends are compared by."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from offpolicy import LoggedDataset, append_log, read_log, write_log
from policies import build, save
from policies.observation import Serving
from serving import Registry

Step = list[str]  # arguments of `longplay`, or the name of one of the WRITERS and a folder
TEMPORARY = re.compile(r".*\.(writing|old|world)-[0-9a-f]{12}|.*\.part(ial)?|\.writing\.json")
PARTS, ROWS = 12, 40


class Job(NamedTuple):
    """Steps in a folder; a stopped one is done again with `again`."""

    prepare: Callable[[Path], None]
    steps: Callable[[Path], list[Step]]
    again: Callable[[Path], list[Step]]
    contents: Callable[[Path], dict[str, str]]  # hashes of what there is at the end, by name
    intact: Callable[[Path, int], None]  # raises ValueError where a reader finds something broken,
    # or less than these finished steps had written
    share: float = 1.0  # of the stops of other jobs: it takes long


def run_steps(command: str) -> Callable[[Path], list[Step]]:
    """A command that makes a run folder."""
    return lambda place: [[*command.split(), "--out", str(place / "runs")]]


def resumed_steps(command: str) -> Callable[[Path], list[Step]]:
    """The same, with the run folder that it had begun."""

    def steps(place: Path) -> list[Step]:
        found = [one.parent for one in place.glob("runs/*/settings.json")]
        resume = ["--resume", str(found[0])] if found else []
        return [[*run_steps(command)(place)[0], *resume]]

    return steps


def nothing(place: Path, done: int = 0) -> None:
    """Nothing to prepare, or to look at."""


def run_contents(place: Path) -> dict[str, str]:
    """Files of the run folder."""
    found = [one.parent for one in place.glob("runs/*/settings.json")]
    return file_hashes(found[0]) if len(found) == 1 else {f"{len(found)} run folders": ""}


def file_hashes(folder: Path) -> dict[str, str]:
    """sha256 of every file in a folder, by name."""
    return {
        one.relative_to(folder).as_posix(): hashlib.sha256(one.read_bytes()).hexdigest()
        for one in sorted(folder.rglob("*"))
        if one.is_file()
    }


def leftovers(place: Path) -> list[str]:
    """Temporary files and folders of writers."""
    return sorted(
        one.relative_to(place).as_posix()
        for one in place.rglob("*")
        if TEMPORARY.fullmatch(one.name)
    )


def _log(nth: int) -> LoggedDataset:
    rng = np.random.default_rng(nth)
    return LoggedDataset.from_columns(
        session=np.arange(ROWS) + nth * ROWS, step=np.zeros(ROWS, int), n_items=9,
        slate=rng.integers(0, 9, (ROWS, 1)), propensity=np.full(ROWS, 0.1), reward=rng.random(ROWS),
    )  # fmt: skip


def append_parts(folder: str) -> int:
    """Write a log, append to it, write it again whole; what is there is gone on with."""
    place = Path(folder, "log")
    there = len(read_log(place)) // ROWS if place.exists() else 0
    for nth in range(there, PARTS):
        append_log(_log(nth), place) if nth else write_log(_log(0), place)
    write_log(_log(0), Path(folder, "log.parquet"))
    write_log(_log(1), Path(folder, "log.parquet"))
    return 0


def log_intact(place: Path, done: int) -> None:
    """All parts that are there are read, from the first one on."""
    if (place / "log").exists():
        rows = read_log(place / "log").session
        if not np.array_equal(rows, np.arange(len(rows))) or len(rows) % ROWS:
            raise ValueError(f"{len(rows)} rows")
    if (place / "log.parquet").exists():
        read_log(place / "log.parquet")


def log_contents(place: Path) -> dict[str, str]:
    return file_hashes(place / "log") | {"file": read_log(place / "log.parquet").hash()}


def prepare_compact(place: Path) -> None:
    write_log(_log(0), place / "log")
    for nth in range(1, 6):
        append_log(_log(nth), place / "log")


def compacted_intact(place: Path, done: int) -> None:
    read_log(place / "log")
    if (place / "compacted").exists() and len(read_log(place / "compacted")) != 6 * ROWS:
        raise ValueError("a part of the log is missing")


def prepare_plays(place: Path) -> None:
    rng = np.random.default_rng(0)
    lines = [
        f"{u},{item},{t}"
        for u in range(50)
        for t, item in enumerate(rng.permutation(40)[: 8 + u % 4])
    ]
    (place / "plays.csv").write_text("\n".join(["user,item,timestamp", *lines]) + "\n")


def train_encoder(place: Path) -> list[Step]:
    data, out = str(place / "plays.csv"), str(place / "encoder")
    settings = ["dim=4", "epochs=6"]
    return [["train-encoder", "--data", data, "--model", "gru4rec", "--set", *settings,
             "--out", out]]  # fmt: skip


def prepare_policies(place: Path) -> None:
    serving = Serving(
        n_items=12, slate_size=2, history_length=3, n_candidates=None, user_size=1,
        item_features=np.eye(12, dtype=np.float32), response_names=("click",),
    )  # fmt: skip
    for nth, temperature in enumerate((1.0, 2.0)):
        save(build("popularity", serving, temperature=temperature), place / f"policy-{nth}")


def release(place: Path) -> list[Step]:
    """Add, promote, add, promote and roll back."""
    to = ["--registry", str(place / "registry"), "--by", "ann"]
    return [
        ["release", "add", str(place / "policy-0"), *to, "--promote"],
        ["release", "add", str(place / "policy-1"), *to, "--promote"],
        ["release", "rollback", *to],
    ]


def release_again(place: Path) -> list[Step]:
    """What is left to do, by what the registry says."""
    steps, registry = release(place), Registry(place / "registry")
    try:
        done = len(registry.history())
    except (FileNotFoundError, ValueError):
        done = 0
    return steps[min(done, len(steps)) :]


def registry_intact(place: Path, done: int) -> None:
    """Versions can be read, and every finished step is in the history."""
    if not (place / "registry" / "versions").exists():
        if done:
            raise ValueError("finished steps are lost")
        return
    registry = Registry(place / "registry")
    if damaged := registry.damaged():
        raise ValueError(f"damaged versions: {damaged}")
    changes = registry.history()
    if len(changes) < done:
        raise ValueError(f"{done} steps were finished, the history has {len(changes)}")
    if registry.pointer().live is not None:
        registry.load(warmed=False)


def registry_contents(place: Path) -> dict[str, str]:
    registry = Registry(place / "registry")
    pointer = asdict(replace(registry.pointer(), changed=None))
    changes = [(one.revision, one.action, one.after, one.by) for one in registry.history()]
    versions = sorted(one.name for one in (place / "registry" / "versions").iterdir())
    files = {v: {n: f["sha256"] for n, f in registry.find(v).contents.files.items()}
             for v in versions}  # fmt: skip
    said = {"pointer": pointer, "changes": changes, "versions": versions, "files": files}
    return {name: json.dumps(value) for name, value in said.items()}


COMPARE = (
    "compare --encoder markov --policies uniform --warm-sessions 40 --train-sessions 60 "
    "--log-sessions 150 --truth-sessions 40 --curve-sessions 10 --rounds 1 --users 16 "
    "--max-steps 4 --workers 1"
)
STUDY = (
    "study --worlds Boredom --encoders none --agents linucb --seeds 4 --steps 320 "
    "--warm-sessions 20 --sessions 20 --max-steps 5 --users 16 --workers "
)
POLICY = (
    "train-policy --policy linucb --rounds 3 --steps 64 --users 16 --sessions 10 "
    "--test-sessions 10 --no-tensorboard"
)
WRITERS: dict[str, Callable[[str], int]] = {"append_parts": append_parts}


def _compact(place: Path) -> list[Step]:
    return [["compact", str(place / "log"), str(place / "compacted")]]


def _append(place: Path) -> list[Step]:
    return [["append_parts", str(place)]]


JOBS: dict[str, Job] = {
    "compare": Job(
        nothing, run_steps(COMPARE), resumed_steps(COMPARE), run_contents, nothing
    ),
    "study": Job(
        nothing, run_steps(STUDY + "1"), resumed_steps(STUDY + "1"), run_contents, nothing
    ),
    "study, 2 workers": Job(
        nothing, run_steps(STUDY + "2"), resumed_steps(STUDY + "2"), run_contents, nothing, 0.2
    ),
    "train-policy": Job(
        nothing, run_steps(POLICY), resumed_steps(POLICY), run_contents, nothing
    ),
    "train-encoder": Job(
        prepare_plays, train_encoder, train_encoder,
        lambda place: file_hashes(place / "encoder"), nothing,
    ),
    "compact": Job(
        prepare_compact, _compact, lambda p: [] if (p / "compacted").exists() else _compact(p),
        lambda place: file_hashes(place / "compacted"), compacted_intact,
    ),
    "write and append": Job(
        nothing, _append, _append, log_contents, log_intact
    ),
    "release": Job(
        prepare_policies, release, release_again, registry_contents, registry_intact
    ),
}  # fmt: skip
