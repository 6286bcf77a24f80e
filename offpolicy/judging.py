"""Several candidates from one log, judged together, with a record that can be audited."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from offpolicy.estimators.engine import Estimate
from offpolicy.evaluation import Model, evaluate
from offpolicy.gate.guardrails import GuardrailSpec, check_guardrails
from offpolicy.gate.uplift_bounds import uplift_bounds
from offpolicy.gate.verdict import GateRule, Verdict, decide
from offpolicy.intervals.inference import Interval
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.scores import TargetScores
from offpolicy.page import html as page
from offpolicy.page.colours import colours as page_colours
from offpolicy.plan.making import plan_after
from offpolicy.plan.record import PLAN_HEAD
from offpolicy.report import Report, finite
from offpolicy.tables import aligned, bounds
from offpolicy.weighting.horizons import Horizon


@dataclass(frozen=True, slots=True)
class Judged:
    """One candidate."""

    name: str
    verdict: Verdict
    uplift: Interval  # holds together with those of the other candidates
    report: Report
    policy_hash: str  # of its scores on this log


@dataclass(frozen=True, slots=True, repr=False)
class GateReport:
    """The gate's record: what was judged, by which rule, on which log."""

    candidates: tuple[Judged, ...]
    rule: GateRule
    level: float
    horizon: str
    log_hash: str

    @property
    def settings_hash(self) -> str:
        """Of rule, level and estimand."""
        text = json.dumps([asdict(self.rule), self.level, self.horizon], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def __getitem__(self, name: str) -> Judged:
        for c in self.candidates:
            if c.name == name:
                return c
        raise KeyError(f"{name}; judged were {', '.join(c.name for c in self.candidates)}")

    def summary(self) -> list[dict[str, str]]:
        """A row for each candidate: the verdict, the value, the uplift, what the log holds."""
        return [
            {
                "candidate": c.name,
                "verdict": c.verdict.outcome.value,
                "uplift": f"{c.uplift.value:+.4g} {bounds(c.uplift, '+')}"
                if c.report.trusted
                else "-",
                "value": _value(c.report) if c.report.trusted else "-",
                "ESS": f"{c.report.diagnostics.ess:,.0f} of {c.report.diagnostics.units:,}",
                "decided by": c.report.decided_by,
            }
            for c in self.candidates
        ]

    def __str__(self) -> str:
        """A line for each candidate: its verdict, then its numbers."""
        rows = self.summary()
        table = aligned(list(rows[0]), [list(row.values()) for row in rows])
        said = [f"{c.name}: {c.verdict}" for c in self.candidates]
        return "\n".join([*said, f"{self.horizon}, {self.level:.0%} intervals", table])

    def __repr__(self) -> str:
        said = ", ".join(f"{c.name}: {c.verdict.outcome.value}" for c in self.candidates)
        return f"GateReport({said}; {self.horizon})"

    def _repr_html_(self) -> str:
        """The verdicts and the estimates behind them, for a notebook."""
        return page.fragment(self.elements())

    def elements(self) -> list[str]:
        """The verdict of each candidate, a table of all, and their estimates folded, as elements of
        a page."""
        colours = page_colours([c.name for c in self.candidates])
        rows = self.summary()
        thin = [nth for nth, c in enumerate(self.candidates) if not c.report.trusted]
        folded = [
            page.details(f"{c.name}: all estimates ({self.horizon})", *c.report.elements())
            for c in self.candidates
        ]
        said = [
            page.answer(
                c.verdict.outcome.value,
                f"{c.verdict.outcome.value.upper()} {c.name}: {c.verdict.reason}.",
                (),
                *([] if c.report.plan is None else [page.details(PLAN_HEAD, *c.report.planned())]),
            )
            for c in self.candidates
        ]
        return [*said, page.table(rows, colours=colours, grey=thin), *folded]

    def to_json(self) -> str:
        """Everything, with hashes of log, policies and settings."""
        content = {
            "log_hash": self.log_hash,
            "settings_hash": self.settings_hash,
            "settings": asdict(self.rule) | {"level": self.level, "horizon": self.horizon},
            "candidates": [
                {
                    "name": c.name,
                    "policy_hash": c.policy_hash,
                    "verdict": asdict(c.verdict),
                    "uplift": asdict(c.uplift),
                    "report": json.loads(c.report.to_json()),
                }
                for c in self.candidates
            ],
        }
        return json.dumps(finite(content), indent=1, allow_nan=False)


def judge(
    log: LoggedDataset,
    candidates: Mapping[str, TargetScores],
    *,
    horizon: Horizon,
    rule: GateRule | None = None,
    guardrails: Sequence[GuardrailSpec] = (),
    level: float = 0.95,
    model: Model = "ridge",
    item_features: ArrayLike | None = None,
    state: ArrayLike | None = None,
    weight_bound: float | None = None,
    seed: int = 0,
) -> GateReport:
    """Judge every candidate. A wrong pass among them, however many, is as rare as `rule.confidence`
    says: their uplift intervals hold together. `level` is that of what is reported and of the
    guardrails together; `state` is for horizon "marginal", and `weight_bound`, as in `evaluate`.

    Raises:
        LogError: scores that do not fit the log.
        ValueError: no candidates.
    """
    if not candidates:
        raise ValueError("the gate needs a candidate: {name: TargetScores}")
    rule = rule or GateRule()
    reports = {
        name: evaluate(
            log,
            scores,
            horizon=horizon,
            level=level,
            model=model,
            item_features=item_features,
            state=state,
            plan=False,
            weight_bound=weight_bound,
            seed=seed,
        )
        for name, scores in candidates.items()
    }
    uplifts = uplift_bounds(
        {name: _uplift(r) for name, r in reports.items()},
        {name: r[r.decided_by].unseen for name, r in reports.items()},
        rule,
    )
    judged = []
    for name, scores in candidates.items():
        report = reports[name]
        specs = guardrails if report.diagnostics.ess > 0 else ()  # else overlap decides
        rails = check_guardrails(log, scores, specs, horizon=horizon, level=level, state=state)
        verdict = decide(
            uplifts[name],
            report.diagnostics,
            rule,
            guardrails=rails,
            log_check=report.log_check,
            cut=report.cut,
        )
        plan = plan_after(verdict, log, scores, horizon=horizon, rule=rule)
        report = replace(report, verdict=verdict, plan=plan)
        judged.append(Judged(name, verdict, uplifts[name], report, scores_hash(scores)))
    return GateReport(tuple(judged), rule, level, horizon, log.hash())


def scores_hash(scores: TargetScores) -> str:
    """sha256 of a policy's probabilities on the log."""
    digest = hashlib.sha256(np.ascontiguousarray(scores.propensity).data)
    for x in (scores.position_propensity, scores.slates, scores.slate_weight):
        if x is not None:
            digest.update(np.ascontiguousarray(x).data)
    return digest.hexdigest()


def _value(report: Report) -> str:
    value = report[report.decided_by].value
    return f"{value.value:.5g} {bounds(value)}"


def _uplift(report: Report) -> Estimate:
    influence = report[report.decided_by].influence
    assert influence is not None
    return influence
