"""`longplay benchmark referee`: coverage, verdicts, false alarms and detections, measured.

Processes of known truth are drawn again and again, and evaluated, gated and examined as a user
would. Every figure stands beside its target, with exact binomial bounds.
"""

from __future__ import annotations

from dataclasses import dataclass

from experiments.benchmark.referee.figures import figures
from experiments.benchmark.referee.jobs import JOBS, work
from experiments.benchmark.referee.tables import page, to_csv
from experiments.common.run_folder import open_run
from experiments.common.show import Show
from experiments.common.workers import Parallel, executor_of, results


@dataclass(frozen=True, kw_only=True)
class Settings(Parallel):
    """Measure the evaluator as a hostile referee would."""

    replicates: int = 500
    """Logs of a process. Other estimators of the registry and guardrails take three tenths of
    them, logs that are looked at again and again a fourth, each clean shape a tenth, each fault a
    25th."""
    processes: tuple[str, ...] = ()
    """What to measure, by the beginnings of names: rate-1-, marginal, terms-, watch-, clean-,
    fault-; all by default."""
    seed: int = 0
    """Of the random numbers."""

    def __post_init__(self) -> None:
        if self.replicates < 2:
            raise ValueError("replicates must be at least 2: widths are compared with a spread")
        for start in self.processes:
            if not any(name.startswith(start) for name in JOBS):
                raise ValueError(f"nothing begins with {start!r}; there are {', '.join(JOBS)}")

    @property
    def jobs(self) -> list[str]:
        """Ids of what is measured."""
        starts = self.processes or ("",)
        return [name for name in JOBS if name.startswith(tuple(starts))]


def run(settings: Settings) -> int:
    """Measure what is left to measure, print the page, write it with its figures."""
    folder, show = open_run(settings.out, "referee", settings, settings.resume), Show()
    print(f"run folder: {folder.path}", flush=True)
    todo = [
        (job, settings.replicates, settings.seed) for job in settings.jobs if not folder.has(job)
    ]
    with show.stage(f"{len(todo)} of {len(settings.jobs)} measurements") as update:
        coming = results(work, todo, executor_of(settings), folder)
        for done, ((job, _, _), record) in enumerate(coming, 1):
            folder.write_json(f"stages/{job}.json", record)
            update(done / len(todo))
            show.note(f"  done: {job}, {record['cpu_seconds']:.1f} CPU-seconds")
    records = {
        job: (JOBS[job].part, folder.read_json(f"stages/{job}.json")) for job in settings.jobs
    }
    measured = figures(records)
    cost = sum(float(r["cpu_seconds"]) for _, r in records.values())
    table = f"{NOTES}\n\n{page(records, measured)}\n\n{cost / 60:.0f} CPU-minutes in all."
    print(table)
    folder.write_text("referee.md", table + "\n")
    command = " ".join(["longplay benchmark referee", *_options(settings)])
    print(f"written: {folder.write_text('referee.csv', to_csv(measured, command))}")
    return 0


def _options(settings: Settings) -> list[str]:
    """What the figures depend on."""
    chosen = ["--processes", *settings.processes] if settings.processes else []
    return ["--replicates", str(settings.replicates), "--seed", str(settings.seed), *chosen]


NOTES = """\
Shares stand with exact binomial bounds at 95 %. **no**: the target is missed; (chance?): it is
missed by less than the binomial error. *Judged*: the gate looked at the uplift (its verdict came
at that step); *passed or failed*: it decided there, which selects by the estimate itself. *ESS >=
500, nothing said*: the report's effective sample is 500 or more, and neither the report nor the
registry says that the interval cannot be trusted. Widths are the mean width over 3.92 standard
deviations of the estimates; the estimator that decides marginal verdicts may have 1.15 times that.
A guardrail is asked for with its bound AT the true change, so that "broken" and "kept" may each be
said by chance only. Processes named worse, equal, better have a target of a lower, the same, a
higher true value than the logger's; `same`: the target is the logger."""
