"""The drift report: every finding with what to do. Formatting only."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from offpolicy.drift.findings import Act, Drift, DriftFinding
from offpolicy.drift.judging import DriftRule
from offpolicy.page import html as page
from offpolicy.report import finite
from offpolicy.tables import markdown

URGENT = (Act.CHECK, Act.ROLL_BACK, Act.RETRAIN, Act.EXPLORE, Act.WATCH, Act.NOTHING)
SUBJECTS = ("outcomes", "segments", "propensities", "inputs")
HEAD = ("", "what", "statistic", "value", "interval", "threshold", "p", "to do")


@dataclass(frozen=True, slots=True)
class DriftReport:
    """What a recent log says against a reference."""

    findings: tuple[DriftFinding, ...]
    rule: DriftRule
    sizes: tuple[tuple[int, int, int], tuple[int, int, int]]  # decisions, sessions, users of each
    estimand: str  # of the values compared
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Drift:
        """ALARM where value or overlap moved; CANNOT_TELL where value could not be seen to move;
        NOTED where inputs alone moved."""
        levels = {f.level for f in self.findings}
        for level in (Drift.ALARM, Drift.CANNOT_TELL, Drift.NOTED):
            if level in levels:
                return level
        return Drift.NONE

    @property
    def alarm(self) -> bool:
        """Something counts."""
        return self.verdict is Drift.ALARM

    @property
    def acts(self) -> tuple[Act, ...]:
        """What to do: what findings that count call for, then the others; the most urgent first."""
        wanted: list[Act] = []
        for serious in (True, False):
            here = {f.act for f in self.troubles if f.counts is serious}
            wanted += [act for act in URGENT if act in here and act not in wanted]
        return tuple(act for act in wanted if act is not Act.NOTHING) or (Act.NOTHING,)

    @property
    def troubles(self) -> tuple[DriftFinding, ...]:
        """Findings that are not `none`: what counts first, outcomes before inputs."""
        found = [f for f in self.findings if f.level is not Drift.NONE]
        return tuple(sorted(found, key=lambda f: (not f.counts, SUBJECTS.index(f.subject))))

    def __getitem__(self, what: str) -> DriftFinding:
        for f in self.findings:
            if f.what == what:
                return f
        raise KeyError(f"{what}; compared were {', '.join(f.what for f in self.findings)}")

    def __str__(self) -> str:
        lines = [self._lead(), self._sizes()]
        lines += [f"  {f.level.upper():11}  {f}" for f in self.findings]
        lines += [f"  -> {f.what}: {f.action}" for f in self.troubles]
        return "\n".join([*lines, *(f"  * {note}" for note in self.notes)])

    def to_dict(self) -> dict[str, Any]:
        """Everything, for machines."""
        content = {
            "verdict": self.verdict.value,
            "acts": [act.value for act in self.acts],
            "estimand": self.estimand,
            "rule": asdict(self.rule),
            "sizes": {
                side: dict(zip(("decisions", "sessions", "users"), n, strict=True))
                for side, n in zip(("reference", "recent"), self.sizes, strict=True)
            },
            "findings": [asdict(f) for f in self.findings],
            "notes": list(self.notes),
        }
        known: dict[str, Any] = finite(content)
        return known

    def to_json(self) -> str:
        """The dict as JSON. Infinite numbers are null."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def to_markdown(self) -> str:
        """Verdict, table and actions."""
        parts = [
            f"**{self.verdict.upper()}**: {self._lead()}",
            self._sizes(),
            markdown(HEAD, [tuple(row.values()) for row in self._rows()], left=3),
            "\n".join(f"* {text}" for text in self._texts()),
        ]
        return "\n\n".join(parts) + "\n"

    def to_html(self) -> str:
        """One self-contained page."""
        return page.page("Drift", self._sizes(), self._parts())

    def _repr_html_(self) -> str:
        """The verdict, what to do and what was compared, for a notebook."""
        return page.fragment([*self._parts(), page.facts(self._sizes())])

    def _parts(self) -> list[str]:
        outcome = {Drift.ALARM: "fail", Drift.CANNOT_TELL: "cannot tell"}
        return [
            page.verdict(outcome.get(self.verdict, "pass"), f"({self.verdict}) {self._lead()}"),
            page.section("What to do", page.bullets(self._texts())),
            page.section("What was compared", page.table(self._rows())),
        ]

    def _lead(self) -> str:
        acts = ", then ".join(act.value for act in self.acts)
        said = {
            Drift.ALARM: "value or overlap moved",
            Drift.CANNOT_TELL: "the logs are too small to tell whether value moved",
            Drift.NOTED: "value and overlap did not move; something else is noted",
            Drift.NONE: "nothing moved",
        }
        return f"{said[self.verdict]}; to do: {acts}"

    def _sizes(self) -> str:
        told = [f"{n:,} decisions, {s:,} sessions, {u:,} users" for n, s, u in self.sizes]
        return f"Reference: {told[0]}; recent: {told[1]}; compared: {self.estimand}."

    def _rows(self) -> list[dict[str, str]]:
        return [
            dict(
                zip(
                    HEAD,
                    (
                        f.level.value,
                        f.what,
                        f.statistic,
                        f"{f.value:.4g}",
                        "" if f.low is None else f"[{f.low:.4g}, {f.high:.4g}]",
                        f"{f.threshold:.3g}",
                        "" if f.p_value is None else f"{f.p_value:.2g}",
                        f.act.value,
                    ),
                    strict=True,
                )
            )
            for f in (*self.troubles, *(f for f in self.findings if f.level is Drift.NONE))
        ]

    def _texts(self) -> list[str]:
        said = [
            f"{f.what} ({f.detail}): {f.action}" if f.detail else f"{f.what}: {f.action}"
            for f in self.troubles
        ]
        return [*(said or ["Nothing to do."]), *self.notes]
