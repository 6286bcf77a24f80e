"""The commands that a sweep or a tuning can run, and what is read of their runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from experiments.common.run_folder import (
    HOW,
    SETTINGS,
    RunFolder,
    begin,
    ended,
    restored,
)
from experiments.options.changes import settings_of
from experiments.options.close import did_you_mean

Row = dict[str, Any]  # policy, and numbers by name


class Swept(NamedTuple):
    """A command whose runs are compared with one another."""

    module: str  # offers Settings and run
    rows: Callable[[dict[str, Any], dict[str, Any]], list[Row]]  # of its report and its settings
    measures: tuple[str, ...]  # what the table shows, of the numbers of a row


def compare_rows(report: dict[str, Any], settings: dict[str, Any]) -> list[Row]:
    """A row for each policy of `longplay compare`."""
    return [
        {
            "policy": row["policy"],
            "truth": row["truth"]["value"],
            "true_uplift": row["true_uplift"]["value"],
            "estimate": row["estimate"]["value"],
            "ess": row["ess"],
            "coverage": row["coverage"],
            "passed": float(row["verdict"] == "pass"),
            "wrong": float(row["right"] == "WRONG"),
        }
        for row in report["policies"]
    ]


def policy_rows(report: dict[str, Any], settings: dict[str, Any]) -> list[Row]:
    """The one row of `longplay train-policy`: the best policy on the test users."""
    test = report["test"]
    value = {"value": test["value"]["value"], "gain": test["gain"]["value"]}
    return [{"policy": settings["policy"], **value, "coverage": test["coverage"]}]


SWEPT = {
    "compare": Swept(
        "experiments.compare.command", compare_rows, ("truth", "true_uplift", "passed", "wrong")
    ),
    "train-policy": Swept(
        "experiments.train.train_policy", policy_rows, ("value", "gain", "coverage")
    ),
}


def command_named(name: object) -> str:
    """The name, if such a command can be swept; ValueError lists those that can."""
    if name not in SWEPT:
        raise ValueError(
            f"command is {name!r}{did_you_mean(str(name), SWEPT)}; what can be run many times is "
            f"{', '.join(SWEPT)}"
        )
    return str(name)


def settings_for(command: str, values: dict[str, Any], source: str) -> Any:
    """Settings of one run from values by key; dotted keys (policy.gamma) are put as `--set` does.

    Raises ValueError for a key that is not there, a value that is refused, or a required one that
    is missing.
    """
    kind = import_module(SWEPT[command].module).Settings
    if mine := sorted(set(values) & set(HOW)):
        raise ValueError(f"{source}: {', '.join(mine)} belong to the command line, not to a run")
    given = settings_of(kind, values, source)
    needed = [
        f.name
        for f in dataclasses.fields(kind)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    if missing := [name for name in needed if name not in given]:
        raise ValueError(f"{source}: longplay {command} needs {', '.join(missing)}")
    workers = {"workers": 1} if any(f.name == "workers" for f in dataclasses.fields(kind)) else {}
    return kind(**given, **workers)


def run_in(command: str, settings: Any, path: Path) -> list[Row]:
    """The rows of one run in a folder of its own, which goes on where it was; what it prints is
    appended to output.txt there.

    Raises ValueError where the run ends with another status than 0.
    """
    with restored():
        if not (path / SETTINGS).is_file():
            path.mkdir(parents=True, exist_ok=True)
            begin(path, command, settings)
            ended("stopped")
        try:
            with (path / "output.txt").open("a", encoding="utf-8") as file, redirect_stdout(file):
                resumed = dataclasses.replace(settings, resume=path)
                status = import_module(SWEPT[command].module).run(resumed)
        except Exception as error:
            ended("failed", str(error))
            raise
        except BaseException:
            ended("stopped")
            raise
        ended("done" if status == 0 else "failed")
    if status != 0:
        raise ValueError(f"longplay {command} ended with status {status}: see {path}/output.txt")
    report = RunFolder(path).read_json("report.json")
    return SWEPT[command].rows(report, RunFolder(path).read_json(SETTINGS)["settings"])
