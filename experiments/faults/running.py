"""The parts of `longplay benchmark rollout` that play faults, and days without any."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from experiments.common.run_folder import RunFolder
from experiments.common.show import Show
from experiments.common.workers import results
from experiments.faults.catalogue import BY_NAME, FAULTS
from experiments.faults.clean import clean_days, false_alarms
from experiments.faults.day import play
from experiments.faults.judging import judge, judge_release, truth, truth_of_releases
from experiments.faults.releases import Release, play_release
from experiments.faults.table import NOTES, clean_table, table

Record = dict[str, Any]
TOGETHER = 10  # days of one seed
JUDGED = 5  # runs of a fault whose log is judged, too: that takes longer than the day


def faults_part(
    folder: RunFolder, names: Sequence[str], *, runs: int, seed: int, executor: str
) -> str:
    """Play what is left to play of these faults; the table, as Markdown."""
    todo = {
        one: [name for name in names if not folder.has(_stage(name, one))]
        for one in range(seed, seed + runs)
    }
    jobs = [(one, left, one < seed + JUDGED) for one, left in todo.items() if left]
    with Show().stage(f"{sum(len(left) for _, left, _ in jobs)} faults") as update:
        for done, (_, records) in enumerate(results(work, jobs, executor, folder), 1):
            for record in records:
                name = _stage(record["fault"], record["seed"])
                folder.write_json(f"stages/{name}.json", record)
            update(done / len(jobs))
    played: dict[str, list[Record]] = defaultdict(list)
    for name in names:
        for one in range(seed, seed + runs):
            played[name].append(folder.read_json(f"stages/{_stage(name, one)}.json"))
    few = range(seed, seed + min(runs, JUDGED))
    true = folder.stage("truth", lambda: truth(few))["value"]
    of_releases = folder.stage("truth-of-releases", lambda: truth_of_releases(few))["value"]
    cpu = sum(record["cpu"] for some in played.values() for record in some)
    return (
        f"{NOTES}\n\n{table(FAULTS, played, true, of_releases)}\n\n{cpu:.0f} CPU-seconds of faults."
    )


def work(seed: int, names: Sequence[str], judged: bool) -> list[Record]:
    """Runs of one seed."""
    records = []
    for name in names:
        began, fault = time.process_time(), BY_NAME[name]
        if isinstance(fault, Release):
            record = play_release(fault, seed, judge=judge_release if judged else None)
        else:
            record = play(fault, seed, judge=judge if judged else None)
        records.append(record | {"cpu": time.process_time() - began})
    return records


def clean_part(folder: RunFolder, *, days: int, seed: int, executor: str) -> str:
    """Play what is left to play of the days without a fault; the table, as Markdown."""
    jobs = [
        (one, min(TOGETHER, days - first))
        for one, first in enumerate(range(0, days, TOGETHER), seed)
        if not folder.has(f"clean-{one}")
    ]
    with Show().stage(f"{sum(n for _, n in jobs)} days without a fault") as update:
        for done, (job, records) in enumerate(results(clean_work, jobs, executor, folder), 1):
            folder.write_json(f"stages/clean-{job[0]}.json", records)
            update(done / len(jobs))
    seeds = range(seed, seed - (-days // TOGETHER))
    records = [one for n in seeds for one in folder.read_json(f"stages/clean-{n}.json")]
    return clean_table(false_alarms(records), len(records))


def clean_work(seed: int, days: int) -> list[Record]:
    """Days of one seed."""
    return clean_days(seed, days)


def _stage(name: str, seed: int) -> str:
    return f"fault-{name}-{seed}"
