"""What all parts of the benchmark share: a registry with the policy, and the rows of the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from experiments.traffic.benchmark.audit import Audit, audit
from experiments.traffic.benchmark.policy import Sizes, benchmark_policy, benchmark_rules
from experiments.traffic.benchmark.process import ServerProcess
from experiments.traffic.play import Plan
from experiments.traffic.record import Record
from experiments.traffic.schedule import Phase
from experiments.traffic.visits import Behaviour
from policies.observation import Serving
from policies.saving.folders import save
from serving.catalogue import Catalogue
from serving.events.opening import open_events
from serving.registry.registry import Registry

MAIN = "main"  # the log of all parts that leave it alone


class Row(NamedTuple):
    """A line of the table."""

    part: str
    figure: str
    measured: str
    target: str = ""
    met: bool | None = None  # None = no target

    def cells(self) -> dict[str, str]:
        """For a table."""
        said = {None: "", True: "ok", False: "MISSED"}[self.met]
        what = f"{self.part}: {self.figure}"
        return {"": what, "measured": self.measured, "target": self.target, "met": said}


@dataclass(frozen=True, slots=True)
class Bench:
    """A folder with a registry whose live version is the benchmark's policy."""

    folder: Path
    sizes: Sizes
    serving: Serving
    names: tuple[str, ...]
    behaviour: Behaviour
    seed: int

    def server(
        self, part: str, *, events: str | None = None, options: Sequence[str] = ()
    ) -> ServerProcess:
        """`longplay serve` with a log of its own for each part of the benchmark."""
        where = str(self.events(part)) if events is None else events
        given = ["--registry", str(self.registry), "--events", where, *options, "--port", "0"]
        return ServerProcess(["experiments", "serve", *given], self.folder / f"{part}.errors")

    @property
    def registry(self) -> Path:
        return self.folder / "registry"

    def events(self, part: str) -> Path:
        """The folder of a part's event log."""
        return self.folder / f"events-{part}"

    def plan(self, phases: Sequence[Phase], turn: int = 0) -> Plan:
        """Requests with histories, and outcomes."""
        return Plan(
            phases=phases,
            behaviour=self.behaviour,
            names=self.names,
            history=self.sizes.history,
            seed=self.seed + turn,
        )

    def audit(self, events: str, records: Sequence[Record]) -> Audit:
        """Read a log whose server is gone."""
        log = open_events(events, writer="audit")
        try:
            return audit(log, self.serving, benchmark_rules(self.sizes), records)
        finally:
            log.close()


def prepare(folder: Path, sizes: Sizes, behaviour: Behaviour, seed: int) -> Bench:
    """Learn the policy and put it into a new registry in the folder."""
    policy = benchmark_policy(sizes, seed)
    save(policy, folder / "policy")
    names = tuple(f"item-{i}" for i in range(sizes.n_items))
    registry = Registry(folder / "registry")
    version = registry.add(folder / "policy", catalogue=Catalogue(names))
    registry.promote(version, why="to be measured")
    return Bench(folder, sizes, policy.serving, names, behaviour, seed)


def zero(part: str, figure: str, count: int, of: str = "") -> Row:
    """A count that must be 0."""
    return Row(part, figure, f"{count:,}{of}", "0", count == 0)


def audited(part: str, found: Audit, *, outage: bool = False) -> list[Row]:
    """What an audit says. outage: the log was gone for a while, in which the fallback answered
    without it."""
    own = found.decisions - found.fallbacks
    fallbacks = f"{found.lost_fallbacks:,} beside {found.fallbacks:,}"
    return [
        zero(part, "violations of rules", found.violations, f" in {found.decisions:,} decisions"),
        zero(part, "answers of the policy, not in the log", found.lost_decisions,
             f" beside {own:,}"),
        Row(part, "answers of the fallback, not in the log", fallbacks, "" if outage else "0",
            None if outage else not found.lost_fallbacks),
        zero(part, "outcomes acknowledged, not in the log", found.lost_outcomes,
             f" beside {found.outcomes:,}"),
        zero(part, "gaps in the numbers of events", found.gaps, f" among {found.events:,}"),
        zero(part, "histories other than the log's", found.skewed),
        Row(part, "decisions whose history began unlogged", f"{found.incomplete:,}",
            "" if outage else "0", None if outage else not found.incomplete),
    ]  # fmt: skip
