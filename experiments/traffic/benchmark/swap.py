"""Another version made live under load."""

from __future__ import annotations

import threading
import time

import numpy as np

from experiments.traffic.benchmark.bench import Bench, Row, audited
from experiments.traffic.benchmark.policy import benchmark_policy
from experiments.traffic.play import play
from experiments.traffic.report import ms, percent
from experiments.traffic.schedule import Phase
from experiments.traffic.summary import quantiles, share
from policies.saving.folders import save
from serving.catalogue import Catalogue
from serving.registry.registry import Registry


def swap(bench: Bench, rps: float, seconds: float) -> list[Row]:
    """A policy that learned from other sequences is promoted after a third of the time."""
    folder = bench.folder / "next"
    save(benchmark_policy(bench.sizes, bench.seed + 1), folder)
    registry = Registry(bench.registry)
    version = registry.add(folder, catalogue=Catalogue(bench.names))
    part = f"another version under {rps:,.0f} a second"
    promoted = list[float]()

    def promote() -> None:
        time.sleep(seconds / 3)
        registry.promote(version, why="to be measured")
        promoted.append(time.perf_counter())

    with bench.server("swap") as server:
        actor = threading.Thread(target=promote, name="promote")
        actor.start()
        record = play(server.url, bench.plan([Phase(rps, seconds)], 500))
        actor.join()
    good = record.decides.good
    done, due = np.array(record.decides.done), np.array(record.decides.due)
    new = done[[row for row, name in record.version_of.items() if name == version]]
    after = float(new.min()) + record.began - promoted[0] if len(new) else float("nan")
    latency = 1e3 * record.decides.latency[good]
    p99 = quantiles(latency, due[good], (0.99,))[0.99]
    return [
        Row(part, "decide success", percent(share(int(good.sum()), len(good))), "100%",
            bool(good.all())),
        Row(part, "versions that answered", f"{len(record.versions)}", "2 or more",
            len(record.versions) > 1),
        Row(part, "s from the promotion to the first answer", f"{after:.1f}", "some",
            bool(after > 0)),
        Row(part, "decide P99 ms", ms(p99)),
        *audited(part, bench.audit(str(bench.events("swap")), [record])),
    ]  # fmt: skip
