"""The report: every number with its interval and its estimand. Formatting only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from offpolicy.diagnostics import ENOUGH, Diagnostics, trusted
from offpolicy.doctor.log_check import LogCheck
from offpolicy.gate.verdict import Verdict
from offpolicy.intervals.inference import Interval
from offpolicy.line import Line
from offpolicy.page import charts
from offpolicy.page import html as page
from offpolicy.plan.record import Plan
from offpolicy.tables import aligned, bounds, markdown
from offpolicy.weighting.censoring import Censoring

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """What a log says about a target policy."""

    lines: tuple[Line, ...]
    baseline: Interval  # value of the logging policy on the same rows
    horizon: str
    estimand: str
    diagnostics: Diagnostics
    verdict: Verdict
    decided_by: str  # the estimator whose uplift the verdict rests on
    notes: tuple[str, ...] = ()
    log_hash: str = ""
    log_check: LogCheck | None = None
    cut: Censoring | None = None  # sessions that the log cut
    plan: Plan | None = None  # what would settle an undecided verdict

    def __getitem__(self, estimator: str) -> Line:
        for line in self.lines:
            if line.estimator == estimator:
                return line
        raise KeyError(f"{estimator}; the report has {', '.join(x.estimator for x in self.lines)}")

    def records(self) -> list[dict[str, Any]]:
        """A dict per estimator."""
        return [
            {
                "estimator": x.estimator,
                "value": x.value.value,
                "low": x.value.low,
                "high": x.value.high,
                "se": x.value.se,
                "ess": self.diagnostics.ess,
                "horizon": self.horizon,
                "uplift": x.uplift.value,
                "uplift_low": x.uplift.low,
                "uplift_high": x.uplift.high,
                "level": x.value.level,
                "biased": x.biased,
                "bias_low": x.value.bias[0],
                "bias_high": x.value.bias[1],
                "settings": dict(x.settings),
            }
            for x in self.lines
        ]

    def to_frame(self) -> pd.DataFrame:
        """A row per estimator: value, bounds, standard error, effective sample, uplift."""
        import pandas as pd

        return pd.DataFrame(self.records())

    def to_json(self) -> str:
        """Everything, for machines. Infinite bounds are written as null."""
        content = {
            "horizon": self.horizon,
            "estimand": self.estimand,
            "verdict": asdict(self.verdict),
            "plan": None if self.plan is None else asdict(self.plan),
            "decided_by": self.decided_by,
            "baseline": asdict(self.baseline),
            "estimates": self.records(),
            "diagnostics": asdict(self.diagnostics),
            "notes": list(self.notes),
            "log_hash": self.log_hash,
            "log_check": None if self.log_check is None else self._health(),
        }
        return json.dumps(finite(content), indent=1, allow_nan=False)

    def to_markdown(self) -> str:
        """The table, the estimand and the verdict as Markdown."""
        head, rows = self._table()
        parts = [
            f"**{self.verdict.outcome.value.upper()}** ({self.decided_by}): {self.verdict.reason}",
            *([] if self.plan is None else [self.plan.to_markdown().rstrip()]),
            f"Estimand `{self.horizon}`: {self.estimand}.",
            markdown(head, rows),
            "\n".join(f"* {x}" for x in self._footnotes()),
        ]
        return "\n\n".join(parts) + "\n"

    def to_html(self, *, pictures: bool = False) -> str:
        """One self-contained page; `pictures` adds every estimate with its interval."""
        return page.page(
            "Off-policy evaluation",
            f"{self.horizon}: {self.estimand}.",
            [*self.answer(), *self.elements(pictures=pictures)],
        )

    def answer(self) -> list[str]:
        """The verdict, its reason and what would settle it, as elements of a page."""
        outcome, line = self.verdict.outcome.value, self[self.decided_by]
        first = f"{outcome.upper()} ({self.decided_by}): {self.verdict.reason}."
        said = [] if not self.trusted else [self._worth(line)]
        return [page.answer(outcome, first, said, *self.planned())]

    def elements(self, *, pictures: bool = False) -> list[str]:
        """All estimates and what to know of them, as elements of a page: a warning stands above
        those that are not to be trusted."""
        head, rows = self._table()
        cells = [dict(zip(head, row, strict=True)) for row in rows]
        grey = () if self.trusted else range(len(self.lines))
        return [
            *([] if self.trusted else [page.warning(self._distrust())]),
            page.table(cells, grey=grey),
            *([self.picture()] if pictures else []),
            page.bullets(self._footnotes()),
        ]

    def picture(self) -> str:
        """Every estimate with its interval; the dashed line is the logging policy's value."""
        rows = [
            charts.Row(x.estimator, x.value.value, x.value.low, x.value.high, grey=not self.trusted)
            for x in self.lines
            if np.isfinite(x.value.value)
        ]
        caption = (
            f"Every estimate with its {self.baseline.level:.0%} interval; the dashed line is what "
            f"the logging policy earned, {self.baseline.value:.4g}."
        )
        unit, base = f"reward a {self._unit()}", self.baseline.value
        return charts.intervals(rows, {}, x_title=unit, caption=caption, reference=base)

    @property
    def trusted(self) -> bool:
        """Whether enough of the log speaks about the target for any interval: 100 effective units,
        and weights that average 1."""
        return trusted(self.diagnostics.ess, self.diagnostics.mean_weight)

    def __str__(self) -> str:
        """A few lines for a terminal: the verdict, then every estimate."""
        warning = [] if self.trusted else [self._distrust()]
        plan = [] if self.plan is None else [f"{self.plan.goal}: see .plan"]
        head, rows = self._table()
        return "\n".join(
            [
                f"{self.verdict.outcome.value.upper()} ({self.decided_by}): {self.verdict.reason}",
                f"{self.horizon}: {self.estimand}",
                *warning,
                aligned(head, rows),
                *self._footnotes()[:1],
                *plan,
            ]
        )

    def __repr__(self) -> str:
        line = self[self.decided_by]
        return (
            f"Report({self.verdict.outcome.value!r}, {self.horizon}, {self.decided_by} "
            f"{line.value.value:.5g} {bounds(line.value)}, effective sample "
            f"{self.diagnostics.ess:.0f} of {self.diagnostics.units})"
        )

    def _repr_html_(self) -> str:
        """The answer and the estimates, for a notebook."""
        lead = page.facts(f"{self.horizon}: {self.estimand}")
        return page.fragment([*self.answer(), lead, *self.elements()])

    def _worth(self, line: Line) -> str:
        return (
            f"The target earns {line.value.value:.5g} {bounds(line.value)} a {self._unit()}, "
            f"{line.uplift.value:+.4g} {bounds(line.uplift, '+')} over the logging policy's "
            f"{self.baseline.value:.5g}."
        )

    def _unit(self) -> str:
        return "decision" if self.horizon == "one_step" else "session"

    def _distrust(self) -> str:
        return (
            "Do not rely on these estimates: an effective sample of "
            f"{self.diagnostics.ess:.0f} of {self.diagnostics.units:,} is left, and it takes "
            f"{ENOUGH:.0f} with weights that average 1."
        )

    def _table(self) -> tuple[list[str], list[list[str]]]:
        level = f"{self.baseline.level:.0%}"
        head = ["estimator", "value", level, "se", "uplift", f"uplift {level}"]
        rows = [
            [
                x.estimator + (" (biased)" if x.biased else ""),
                f"{x.value.value:.5g}",
                bounds(x.value),
                f"{x.value.se:.2g}",
                f"{x.uplift.value:+.4g}",
                bounds(x.uplift, "+"),
            ]
            for x in self.lines
        ]
        logged = self.baseline
        rows.append(
            ["logging policy", f"{logged.value:.5g}", bounds(logged), f"{logged.se:.2g}", "", ""]
        )
        return head, rows

    def planned(self) -> list[str]:
        """What would settle an undecided verdict, as elements of a page."""
        if self.plan is None:
            return []
        head, rows = self.plan.table()
        table = [dict(zip(head, row, strict=True)) for row in rows]
        text = [page.paragraph(self.plan.goal + ":"), page.bullets(self.plan.lines())]
        return [*text, *([page.table(table)] if table else [])]

    def _footnotes(self) -> list[str]:
        notes = [self._overlap(), *self.notes, *self._bias_notes()]
        if self.log_check is not None:
            troubles = [f"{f.level.name} {f.check}: {f.found}" for f in self.log_check.troubles]
            notes.append(
                f"Log doctor: {self.log_check.verdict}" + "".join(f"; {x}" for x in troubles)
            )
        return notes

    def _health(self) -> dict[str, Any]:
        assert self.log_check is not None
        findings = [asdict(f) | {"level": f.level.name} for f in self.log_check.findings]
        return {"verdict": self.log_check.verdict.value, "findings": findings}

    def _overlap(self) -> str:
        d = self.diagnostics
        m = d.mean_weight
        mean = "" if m is None else f", mean weight {m.value:.3f} [{m.low:.3f}, {m.high:.3f}]"
        return (
            f"Effective sample {d.ess:.0f} of {d.units} units ({d.rows} decisions); largest weight "
            f"{d.max_weight:.4g}{mean}."
        )

    def _bias_notes(self) -> list[str]:
        return [
            f"{x.estimator} changes weights ({_settings(x.settings)}): its bias lies within "
            f"[{x.value.bias[0]:+.4g}, {x.value.bias[1]:+.4g}] for rewards as seen in this log, "
            "and its interval is moved out by that."
            for x in self.lines
            if x.biased and x.settings
        ]


def _settings(settings: Mapping[str, float]) -> str:
    return ", ".join(f"{k} {v:g}" for k, v in settings.items())


def finite(x: Any) -> Any:
    """JSON has no infinities."""
    if isinstance(x, dict):
        return {k: finite(v) for k, v in x.items()}
    if isinstance(x, list | tuple):
        return [finite(v) for v in x]
    if isinstance(x, np.generic):
        x = x.item()
    return None if isinstance(x, float) and not np.isfinite(x) else x
