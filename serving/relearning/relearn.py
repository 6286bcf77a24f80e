"""Learning again: from a cut of the log to a version that may be tried, and never further.

The learner's units teach, the others judge; the challenger is added to the registry with where it
comes from, and nothing that serves is touched: a canary is somebody else's decision.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

import numpy as np

from offpolicy.gate.guardrails import GuardrailSpec
from offpolicy.gate.verdict import GateRule, Outcome, Verdict
from offpolicy.judging import GateReport, judge
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.splitting import split_sessions
from offpolicy.storage.claims import held
from offpolicy.weighting.horizons import Horizon
from policies.base import Policy
from policies.improve.reach import reached_step
from policies.rules.constrained import Constrained, constrained
from policies.saving.folders import load, save
from policies.scoring import score_log
from serving.catalogue import Catalogue
from serving.registry.durable import write_durably
from serving.registry.registry import Registry
from serving.registry.retrieving import read_vectors
from serving.registry.versions import ITEMS, POLICY, LogCut, Version
from serving.relearning.code import code_version
from serving.relearning.cut import Cut, part_of
from serving.relearning.held_out import refuse_seen, served_by
from serving.relearning.lineage import Lineage, files_of, seen_by, unit_of
from serving.relearning.recipe import Recipe, Snapshot, inputs_of, learnt

WORK = "relearning"  # folder in the registry: what a run has done so far
CHALLENGER = "challenger"
Guardrails = Callable[[LoggedDataset], Sequence[GuardrailSpec]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How challengers are judged."""

    rule: GateRule = field(default_factory=GateRule)
    horizon: Horizon = "per_decision"
    level: float = 0.95  # of all guardrails together
    split: tuple[float, float] = (0.6, 0.4)  # of the units: teach, judge
    split_seed: int = 0  # the same for all generations: who judges never teaches


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenger and the gate's verdict on it."""

    version: str | None  # in the registry; None where it was not added
    verdict: Verdict
    report: GateReport | None  # None where no share of the way could be judged
    lineage: Lineage
    next: str  # what to do now, in a sentence

    @property
    def ready(self) -> bool:
        """Whether it may be tried on users, as a canary."""
        return self.version is not None and self.verdict.outcome is Outcome.PASS


def relearn(
    registry: Registry,
    log: LoggedDataset,
    learner: Recipe | Snapshot,
    *,
    cut: Cut,
    champion: str = "live",
    terms: Terms | None = None,
    guardrails: Guardrails | None = None,
    seed: int = 0,
    keep_failed: bool = False,
    trigger: str | None = None,
    by: str | None = None,
    note: str | None = None,
) -> Challenge:
    """Learn from the cut's teaching units (or take a snapshot of what has learnt from some), judge
    on the others what the champion served, and add the challenger to the registry unless it is
    worse. Nothing is promoted.

    The same cut, champion, learner, terms and seed give the same version. A run that was killed
    goes on where it was; until its last step the registry holds nothing of it.

    guardrails: of the log that judges, the columns that must not get worse.
    keep_failed: add a challenger that is worse, too.

    Raises LogError where the log is not that of the cut, the champion served none of the sessions
    that judge, or they taught it; OSError where another run is learning; ValueError for a learner
    that does not fit.
    """
    terms = terms or Terms()
    parent = registry.find(champion)
    with _alone(registry, parent, learner, cut, terms, seed) as work:
        part = part_of(log, cut)
        teach, others = split_sessions(part, terms.split, seed=terms.split_seed)
        now = registry.load(parent.version, warmed=False).policy
        judge_log = served_by(others, parent.version, now)
        seen = seen_by(parent)
        refuse_seen(judge_log, seen, parent.version, terms.split_seed)
        taught = np.unique(teach.unit)
        if isinstance(learner, Snapshot):
            taught = learner.taught
            refuse_seen(judge_log, taught, "the snapshot", terms.split_seed)
        target = _target(learner, now, teach, seed, work)
        rails = () if guardrails is None else guardrails(judge_log)
        challenger, share, verdict, report = _judged(
            learner, now, target, judge_log, teach, terms, rails, seed
        )
        lineage = Lineage(
            parent=parent.version,
            cut=cut,
            learner=learner.name,
            settings=dict(learner.settings),
            step=learner.step,
            kind=learner.kind,
            share=share,
            seed=seed,
            split=terms.split,
            split_seed=terms.split_seed,
            unit=unit_of(part),
            taught=len(taught),
            judged=len(np.unique(judge_log.unit)),
            code=code_version(),
            verdict=verdict.outcome.value,
            reason=verdict.reason,
            trigger=trigger,
        )
        version = None
        if challenger is not None and (keep_failed or verdict.outcome is not Outcome.FAIL):
            kept = np.union1d(seen, taught).astype(np.int64)
            version = offer(
                registry, parent, challenger, lineage, report, files_of(lineage, kept), work,
                by=by, note=note,
            )  # fmt: skip
    return Challenge(version, verdict, report, lineage, advice(registry, version, verdict))


def offer(
    registry: Registry,
    parent: Version,
    challenger: Policy,
    lineage: Lineage,
    report: GateReport | None,
    beside: dict[str, bytes],
    work: Path,
    *,
    by: str | None = None,
    note: str | None = None,
) -> str:
    """Add a challenger of the parent's catalogue and retrieval; its version. One that is the parent
    itself keeps the parent's lineage."""
    save(challenger, work / CHALLENGER)
    gate = None
    if report is not None:
        gate = work / "gate.json"
        write_durably(gate, report.to_json().encode())
    declared, own = parent.contents.retrieval, read_vectors(parent.folder)
    return registry.add(
        work / CHALLENGER,
        catalogue=Catalogue.from_file(parent.folder / ITEMS),
        retrieval="none" if declared is None else str(declared["vectors"]) if own is None else own,
        note=note,
        by=by,
        gate=gate,
        log=LogCut(
            name=lineage.cut.name,
            rows=lineage.cut.rows,
            sessions=lineage.cut.sessions,
            hash=lineage.cut.hash,
        ),
        beside=beside,
    )


def advice(registry: Registry, version: str | None, verdict: Verdict) -> str:
    """What to do after a verdict."""
    if verdict.outcome is Outcome.FAIL:
        return f"the champion goes on, on sessions that neither has seen: {verdict.reason}"
    if version is None:
        return f"the champion goes on; {verdict.reason}"
    if verdict.outcome is Outcome.PASS:
        return f"ready for a canary: longplay release canary {version} --registry {registry.folder}"
    policy = registry.find(version).folder / POLICY
    return (
        "the log cannot tell: the plan says which sessions or which trial would, "
        f"longplay plan LOG --target {policy} --horizon HORIZON"
    )


def _target(
    learner: Recipe | Snapshot, now: Policy, teach: LoggedDataset, seed: int, work: Path
) -> Policy:
    """What is learnt, under the champion's rules: read back from the folder, where a run that goes
    on finds it too, so that both judge the same."""
    folder = work / "target"
    if not folder.is_dir():
        if isinstance(learner, Recipe):
            target = learnt(learner, now.serving, teach, seed)
        else:
            target = cast("Policy", learner.policy)
        if isinstance(now, Constrained) and not isinstance(target, Constrained):
            target = constrained(target, *now.rules)
        save(target, folder)
    return load(folder)


def _judged(
    learner: Recipe | Snapshot,
    now: Policy,
    target: Policy,
    judge_log: LoggedDataset,
    teach: LoggedDataset,
    terms: Terms,
    guardrails: Sequence[GuardrailSpec],
    seed: int,
) -> tuple[Policy | None, float | None, Verdict, GateReport | None]:
    """The challenger, its share of the way, the verdict and the report."""
    if learner.step:
        step = reached_step(
            judge_log,
            now,
            target,
            rule=terms.rule,
            kind=learner.kind,
            horizon=terms.horizon,
            guardrails=guardrails,
            level=terms.level,
            learn_log=teach,
        )
        return step.candidate, step.judged_share, step.verdict, step.judged
    report = judge(
        judge_log,
        {CHALLENGER: score_log(target, judge_log, seed=seed)},
        horizon=terms.horizon,
        rule=terms.rule,
        guardrails=guardrails,
        level=terms.level,
        seed=seed,
    )
    return target, None, report[CHALLENGER].verdict, report


@contextmanager
def _alone(
    registry: Registry,
    parent: Version,
    learner: Recipe | Snapshot,
    cut: Cut,
    terms: Terms,
    seed: int,
) -> Iterator[Path]:
    """The folder of this run, which no other run has; gone at the end. What runs of other inputs
    that were killed have left is removed."""
    said = [parent.contents.sha256, inputs_of(learner), cut.hash, cut.rows, asdict(terms), seed]
    key = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]
    every = registry.folder / WORK
    every.mkdir(exist_ok=True)
    with held(every) as alone:
        if not alone:
            raise OSError(f"another run is learning ({every} is locked): wait for its end")
        for other in every.iterdir():
            if other.name != key:
                shutil.rmtree(other) if other.is_dir() else other.unlink()
        (every / key).mkdir(exist_ok=True)
        yield every / key
        shutil.rmtree(every / key)
