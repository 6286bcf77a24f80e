"""`longplay gate LOG --target POLICY`: may this policy be rolled out?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from experiments.common.key_values import labelled
from experiments.logs.item_names import items_beside, open_named_log
from experiments.logs.log_files import column_of, scores_of
from experiments.logs.pages import gate_page
from offpolicy import GateRule, LoggedDataset, Outcome
from offpolicy.diagnostics import JUDGED
from offpolicy.gate.guardrails import GuardrailSpec
from offpolicy.judging import GateReport, judge
from offpolicy.storage.atomic import write_text
from offpolicy.weighting.horizons import Horizon

STATUS = {Outcome.PASS: 0, Outcome.FAIL: 1, Outcome.UNDECIDED: 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Judge candidates from a log; exit status 0 = one passes, 1 = all fail, 3 = cannot tell."""

    log: tyro.conf.Positional[Path]
    """A log (folder or file), or any table (.parquet, .csv, .jsonl) with --columns."""
    target: tuple[str, ...]
    """Candidates: folders of saved policies (policies.save), policies of your own
    (mymodule:my_policy), files of target scores (.npz, .npy, .csv, .parquet), or `uniform`;
    label=... before one names it."""
    horizon: Horizon
    """The estimand: one_step, per_decision, trajectory, or marginal (with --state)."""
    state: str | None = None
    """Marginal weights: the column of the log (column.place) whose values are a Markov state's."""
    columns: tuple[str, ...] = ()
    """Foreign column names, ours=theirs."""
    items: str | None = None
    """Items of a foreign log are names: a file of them, one a line in the order of their ids, or
    `log` for those of the log (text is). By default items.txt beside a saved policy."""
    n_items: int | None = None
    """Size of the catalogue of a foreign log."""
    max_steps: int | None = None
    """Sessions end after so many decisions by design: one truncated there is whole."""
    min_uplift: float = 0.0
    """Uplift to be shown; negative: a non-inferiority margin."""
    min_ess: float = JUDGED
    """Effective units below which the gate cannot tell."""
    guardrail: tuple[str, ...] = ()
    """Changes that must hold: "responses.1>=-0.01" or "position_reward.0<=0.2": column, place,
    bound on its change against the logging policy."""
    level: float = 0.95
    """Of the reported intervals, and of all guardrails together."""
    confidence: float = 0.95
    """Of a pass and of a fail, all candidates together; each is a claim about one side."""
    weight_bound: float | None = None
    """What weights are known not to exceed: 1 / share of a log whose sessions were dealt out."""
    monitored: bool = False
    """The log is judged again as it grows: the bounds hold at all looks together."""
    seed: int = 0
    """Of saved policies' draws for the reward model, and of its cross-fitting."""
    out: Path | None = None
    """Write the JSON record here, and the page beside it."""
    page: Path | None = None
    """Write the page here."""


def run(settings: Settings) -> int:
    """Judge, print, write."""
    items = items_beside(settings.target, settings.items)
    log = open_named_log(
        settings.log, settings.columns, settings.n_items, settings.max_steps, items
    )
    candidates = {
        name: scores_of(target, log, seed=settings.seed, columns=settings.columns)
        for name, target in named(settings.target).items()
    }
    report = judge(
        log,
        candidates,
        horizon=settings.horizon,
        rule=GateRule(
            min_ess=settings.min_ess,
            min_uplift=settings.min_uplift,
            confidence=settings.confidence,
            monitored=settings.monitored,
        ),
        guardrails=[guardrail_of(g, log) for g in settings.guardrail],
        level=settings.level,
        seed=settings.seed,
        weight_bound=settings.weight_bound,
        state=None if settings.state is None else column_of(settings.state, log),
    )
    show(report)
    place = settings.page
    if settings.out is not None:
        write_text(settings.out, report.to_json())
        place = place or settings.out.with_suffix(".html")
    if place is not None:
        write_text(place, gate_page(report, log, candidates, settings.log.stem))
        print(f"written: {place}")
    return min(STATUS[c.verdict.outcome] for c in report.candidates)


def named(targets: tuple[str, ...]) -> dict[str, str]:
    """Candidates by their labels ("label=target") or a short name; where two would share one, by
    what was written.

    Raises:
        ValueError: a candidate is named twice.
    """
    if len(set(targets)) < len(targets):
        raise ValueError(f"a candidate is named twice: {' '.join(targets)}")
    pairs = [labelled(t) for t in targets]
    short = [Path(t).stem if label == t else label for label, t in pairs]
    names = [s if short.count(s) == 1 else t for s, t in zip(short, targets, strict=True)]
    return {name: target for name, (_, target) in zip(names, pairs, strict=True)}


def show(report: GateReport) -> None:
    """One line a candidate, then its report."""
    for c in report.candidates:
        print(f"{c.name}: {c.verdict}\n")
        print(c.report.to_markdown())


def guardrail_of(text: str, log: LoggedDataset) -> GuardrailSpec:
    """ "responses.1>=-0.01" -> its specification.

    Raises:
        ValueError: it is written otherwise, or the log has no such column.
    """
    match = re.fullmatch(r"\s*([a-z_]+)(?:\.(\d+))?\s*(>=|<=)\s*(\S+)\s*", text)
    if not match:
        raise ValueError(f'guardrail {text!r}: write "column.place>=bound" or "column<=bound"')
    name, place, sign, bound = match.groups()
    values = column_of(f"{name}.{place or 0}", log).astype(np.float64)
    limit = float(bound)
    return GuardrailSpec(
        name=text,
        values=values,
        at_least=limit if sign == ">=" else -np.inf,
        at_most=limit if sign == "<=" else np.inf,
    )
