"""Run folders of shards as one run folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from experiments.common.run_folder import (
    FAILED,
    LOCK,
    SETTINGS,
    STATE,
    RunFolder,
    new_folder,
    recorded,
)
from experiments.sweeps.folders import differing, run_at

OWN = {SETTINGS, STATE, LOCK}  # of each folder


def join(folders: Sequence[Path], out: Path) -> tuple[Path, str]:
    """A new run folder with the files of all, and its command: a run that has no shard goes on
    with it.

    Raises ValueError for runs of several commands or settings, for files that are not the same in
    two folders, and for folders that a process works in.
    """
    runs = [run_at(folder) for folder in folders]
    if working := [str(run.path) for run in runs if run.state == "running"]:
        raise ValueError(f"a process works in {', '.join(working)}: wait for it, or stop it")
    first = runs[0]
    for run in runs[1:]:
        if run.command != first.command:
            raise ValueError(
                f"{run.path} is of longplay {run.command}, {first.path} of {first.command}"
            )
        if keys := differing([first, run]):
            raise ValueError(
                f"{run.path} and {first.path} have other settings ({', '.join(keys)}): shards of "
                "one run have the same"
            )
    files = dict[Path, Path]()
    for run in runs:
        for file in sorted(run.path.rglob("*")):
            name = file.relative_to(run.path)
            if not file.is_file() or str(name) in OWN or name.parts[0] == FAILED:
                continue
            other = files.setdefault(name, file)
            if other is not file and other.read_bytes() != file.read_bytes():
                raise ValueError(f"{file} and {other} are not the same: no shards of one run")
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    path = new_folder(out, f"{stamp}-{first.command.replace(' ', '-')}-joined")
    for name, file in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, path / name)
    record = recorded(first.path)
    record["settings"] |= {"shard": None, "resume": None, "out": str(out)}
    joined = RunFolder(path)
    joined.write_json(STATE, {"state": "stopped"})
    joined.write_json(SETTINGS, record)
    return path, first.command
