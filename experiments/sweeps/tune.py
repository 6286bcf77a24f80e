"""`longplay tune FILE`: the settings that do best, found by Optuna in runs of a command.

The study is a SQLite file in the run folder. What a trial tries follows from its number and from
the trials before its round, so that a tuning that was stopped goes on as if it had not been.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from statistics import fmean
from typing import Any

import tyro
import yaml

from experiments.common.run_folder import HOW, RunFolder, open_run, plain
from experiments.common.show import Show
from experiments.common.workers import JobsError, Parallel, executor_of, results
from experiments.sweeps.search import Range, Search, read_search

PLAN, STUDY = "tune.yaml", "study.db"


@dataclass(frozen=True, kw_only=True)
class Settings(Parallel):
    """Search the settings of train-policy or compare that do best, with Optuna."""

    file: tyro.conf.Positional[Path]
    """YAML: `command`, `settings` of every run, `search` (choices or ranges by setting), `measure`,
    and `seeds` that a trial is the mean over."""
    trials: int = 20
    """Settings that are tried."""
    together: int = 1
    """Trials of a round, which are chosen before any of them is done."""
    seed: int = 0
    """Of the search."""

    def __post_init__(self) -> None:
        if min(self.trials, self.together, self.workers) < 1:
            raise ValueError("trials, together and workers must be at least 1")


def run(settings: Settings) -> int:
    """All trials; prints the best, and writes it as settings that its command reads."""
    optuna = _optuna()
    own = None if settings.resume is None else settings.resume / PLAN
    file = own if own is not None and own.is_file() else settings.file
    search, text = read_search(file), file.read_text(encoding="utf-8")
    show, folder = Show(), open_run(settings.out, "tune", settings, settings.resume)
    folder.write_text(PLAN, text)
    show.note(f"run folder: {folder.path} (if stopped, go on with --resume {folder.path})")
    study = optuna.create_study(
        study_name="tune",
        storage=f"sqlite:///{folder.path.resolve() / STUDY}",
        direction="maximize",
        load_if_exists=True,
    )
    with show.stage(f"{settings.trials} trials of longplay {search.command}") as update:
        for trials in _rounds(optuna, study, search, settings):
            for number, value in _values(search, trials, folder, settings).items():
                if value is None:
                    study.tell(number, state=optuna.trial.TrialState.FAIL)
                else:
                    study.tell(number, value)
                    show.note(f"  trial {number}: {value:.4g} with {trials[number]}")
            update(len(study.trials) / settings.trials)
    done = [t for t in study.trials if t.value is not None]
    print(f"written: {folder.write_text('trials.csv', _csv(search, study.trials))}")
    if not done:
        raise ValueError(f"every trial failed: see the tracebacks in {folder.path}/failed")
    best = max(done, key=lambda t: (t.value, -t.number))
    params = {name: _chosen(space, best.params[name]) for name, space in search.space.items()}
    chosen = asdict(search.run_settings(params, search.seeds[0], str(file)))
    kept = {k: v for k, v in plain(chosen).items() if k not in (*HOW, "seed")}
    name = folder.write_text("best.yaml", yaml.safe_dump(kept, sort_keys=False))
    print(f"best: trial {best.number}, {search.measure} {best.value:.6g} with {params}")
    print(f"written: {name}; run it with: longplay {search.command} --settings {name}")
    return 0 if len(done) == len(study.trials) else 1


def _optuna() -> Any:
    try:
        optuna = import_module("optuna")
    except ImportError:
        raise ImportError("longplay tune needs the extra: pip install 'longplay[tune]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _rounds(
    optuna: Any, study: Any, search: Search, settings: Settings
) -> Iterator[dict[int, dict[str, Any]]]:
    """Trials that are left, by number with their values; those of a round are chosen together."""
    for first in range(0, settings.trials, settings.together):
        numbers = range(first, min(first + settings.together, settings.trials))
        chosen = dict[int, dict[str, Any]]()
        for number in numbers:
            study.sampler = optuna.samplers.TPESampler(seed=settings.seed * 1_000_003 + number)
            known = {t.number: t for t in study.trials}
            if number not in known:
                trial = study.ask()
            elif known[number].state.is_finished():
                continue
            else:  # it was being worked on when the run was stopped
                trial = optuna.trial.Trial(study, known[number]._trial_id)
            chosen[number] = {k: _suggested(trial, k, space) for k, space in search.space.items()}
        if chosen:
            yield chosen


def _suggested(trial: Any, name: str, space: Range | tuple[Any, ...]) -> Any:
    if isinstance(space, tuple):
        return _chosen(space, trial.suggest_categorical(name, [*map(repr, space)]))
    whole = all(type(x) is int for x in (space.low, space.high, space.step or 1))
    if whole:
        step = 1 if space.step is None else space.step
        return trial.suggest_int(name, space.low, space.high, log=space.log, step=step)
    return trial.suggest_float(name, space.low, space.high, log=space.log, step=space.step)


def _chosen(space: Range | tuple[Any, ...], value: Any) -> Any:
    """The value behind what Optuna keeps, which has texts for choices: it keeps no lists."""
    if isinstance(space, Range):
        return value
    return next(choice for choice in space if repr(choice) == value)


def _values(
    search: Search, trials: dict[int, dict[str, Any]], folder: RunFolder, settings: Settings
) -> dict[int, float | None]:
    """The mean measure of every trial over the seeds; None where a run of it failed."""
    from experiments.sweeps.swept import run_in

    jobs = [
        (search.command, search.run_settings(params, seed, PLAN), _place(folder, number, seed))
        for number, params in trials.items()
        for seed in search.seeds
    ]
    found = dict[Path, float]()
    try:
        for (_, _, path), rows in results(run_in, jobs, executor_of(settings), folder):
            found[path] = _measured(search, rows)
    except JobsError:  # told, with their tracebacks; the trial is failed below
        pass
    out = dict[int, float | None]()
    for number in trials:
        values = [found.get(_place(folder, number, seed)) for seed in search.seeds]
        known = [value for value in values if value is not None]
        out[number] = fmean(known) if len(known) == len(values) else None
    return out


def _place(folder: RunFolder, number: int, seed: int) -> Path:
    return folder.path / "trials" / f"{number:04d}-seed={seed}"


def _measured(search: Search, rows: list[dict[str, Any]]) -> float:
    chosen = [row for row in rows if search.row in (None, row["policy"])]
    if len(chosen) != 1:
        names = ", ".join(row["policy"] for row in rows)
        raise ValueError(f"row is {search.row!r}; name one policy of the table: {names}")
    return float(chosen[0][search.measure])


def _csv(search: Search, trials: list[Any]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["trial", *search.space, search.measure, "state"])
    for t in trials:
        value = "" if t.value is None else repr(t.value)
        params = [t.params.get(name, "") for name in search.space]
        writer.writerow([t.number, *params, value, t.state.name.lower()])
    return out.getvalue()
