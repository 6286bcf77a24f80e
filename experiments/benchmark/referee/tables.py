"""The referee's page: targets first, then every process, estimator, guardrail, log and fault."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from experiments.benchmark.referee.figures import Figure, Record, Target, share
from offpolicy.tables import markdown

Records = Mapping[str, tuple[str, Record]]
TARGETS = (  # part, figures, what is said of them
    ("verdicts", "wrong verdicts", "wrong verdicts (pass at an uplift <= 0, fail above 0)"),
    ("verdicts", "fail at 0", "failed with confidence at an uplift of 0"),
    ("usual", "value held, judged", "value held by the deciding estimator where the gate judges"),
    ("usual", "uplift held, judged", "uplift held by the deciding estimator where the gate judges"),
    (
        "usual",
        "value held, silent",
        "value held by every usual estimator, ESS >= 500, nothing said",
    ),
    ("usual", "uplift held, silent", "uplift held by every usual one, ESS >= 500, nothing said"),
    (
        "others",
        "value held, silent",
        "value held by the registry's others, ESS >= 500, nothing said",
    ),
    ("others", "uplift held, silent", "uplift held by the others, ESS >= 500, nothing said"),
    ("terms", "value held, ESS >= 500", "value held by estimators with terms of their own"),
    ("usual", "value width", "width of drl's interval over the oracle's"),
    ("verdicts", "honest propensities blamed", "honest logs told to check their propensities"),
    ("verdicts", "refused", "honest logs refused"),
    ("guardrails", "held", "change of a guardrail held"),
    ("guardrails", "wrong", "guardrail called broken or kept with its bound at the truth"),
    ("watches", "wrong at some look", "a wrong claim at some look"),
    ("clean", "false FAIL", "clean logs that FAIL, by shape"),
    ("clean", "false WARN", "clean logs that WARN, by shape"),
    ("faults", "seen", "logs with a fault that are seen, by fault"),
)


def page(records: Records, figures: Sequence[Figure]) -> str:
    """Markdown."""
    parts = {
        "Targets": _targets(figures),
        "Processes and verdicts": _processes(records, figures),
        "Usual estimators": _estimators(figures, "usual"),
        "Other estimators of the registry": _estimators(figures, "others"),
        "Estimators with terms of their own": _pivot(
            figures,
            "terms",
            ("median ESS", "value held, ESS >= 500", "value width", "value bias", "value rmse"),
            "estimator",
        ),
        "Guardrails, with the bound at the true change": _pivot(
            figures, "guardrails", ("held", "wrong"), "column"
        ),
        "Logs that are looked at again and again": _pivot(
            figures, "watches", ("wrong at some look",), "rule"
        ),
        "The doctor on clean logs": _doctor(
            records, figures, "clean", ("false FAIL", "false WARN")
        ),
        "The doctor on logs with a fault": _doctor(
            records, figures, "faults", ("seen", "FAIL or refused")
        ),
    }
    return "\n\n".join(f"## {k}\n\n{v}" for k, v in parts.items() if v)


def to_csv(figures: Iterable[Figure], command: str) -> str:
    """Every figure as a row; the first line is the command."""
    out = io.StringIO()
    out.write(f"# {command}\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*Figure._fields, "holds"])
    writer.writerows(["" if x is None else _plain(x) for x in (*f, f.holds)] for f in figures)
    return out.getvalue()


def _plain(x: object) -> str:
    return f"{x:.6g}" if isinstance(x, float) else str(x)


def cell(f: Figure | None) -> str:
    """Measured, its binomial bounds, and whether it holds."""
    if f is None or f.measured is None:
        return "-"
    if f.of is None:
        return f"{f.measured:.3g}{_mark(f)}"
    bounds = "" if f.low is None else f" [{f.low:.3f}, {f.high:.3f}]"
    return f"{f.measured:.3f}{bounds}{_mark(f)}"


def _mark(f: Figure) -> str:
    return {"": "", "yes": "", "within chance": " (chance?)", "no": " **no**"}[f.holds]


def _targets(figures: Sequence[Figure]) -> str:
    """A row for each target: how many processes hold it, the worst, and all logs together."""
    rows = []
    for part, what, said in TARGETS:
        own = [
            f
            for f in figures
            if f.part == part and f.what == what and f.target != Target() and f.measured is not None
        ]
        if not own:
            continue
        upper = own[0].target.at_least is None
        worst = (max if upper else min)(own, key=lambda f: f.measured or 0.0)
        held = sum(f.holds == "yes" for f in own)
        chance = sum(f.holds == "within chance" for f in own)
        who = f"{worst.name} {worst.estimator}".strip()
        verdict = "holds" if held == len(own) else "within chance"
        verdict = verdict if held + chance == len(own) else "**fails**"
        asked = str(worst.target) if len({f.target for f in own}) == 1 else "<= 0.05, same: 0"
        rows.append(
            (said, asked, f"{held} of {len(own)}", chance, f"{cell(worst)}: {who}",
             _together(own), verdict)
        )  # fmt: skip
    head = ("target", "bound", "hold", "short within chance", "worst", "all together", "verdict")
    return markdown(head, rows, left=1) if rows else ""


def _together(own: Sequence[Figure]) -> str:
    """The share over all of them, where they are shares."""
    if any(f.of is None for f in own):
        return "-"
    total = sum(f.hits or 0 for f in own), sum(f.of or 0 for f in own)
    return cell(share("", "", "", "", total, Target()))


def _find(figures: Iterable[Figure], part: str) -> dict[tuple[str, str], dict[str, Figure]]:
    """Figures of a part by (name, estimator), then by what they are."""
    found: dict[tuple[str, str], dict[str, Figure]] = {}
    for f in figures:
        if f.part == part:
            found.setdefault((f.name, f.estimator), {})[f.what] = f
    return found


def _processes(records: Records, figures: Sequence[Figure]) -> str:
    found, usual = _find(figures, "verdicts"), _find(figures, "usual")
    rows = []
    for part, r in records.values():
        if part != "process":
            continue
        own, decider = found[r["name"], ""], usual.get((r["name"], r["decider"]), {})
        steps = {k[13:]: v for k, v in r["verdicts"].items() if k.startswith("cannot tell: ")}
        ess = f"{r['ess'][1]:.0f} [{r['ess'][0]:.0f}, {r['ess'][2]:.0f}]" if r["ess"] else "-"
        cells = [
            cell(decider.get(k))
            for k in ("value held, judged", "uplift held, judged", "uplift held, decided",
                      "uplift width")
        ]  # fmt: skip
        rows.append(
            (r["name"], r["horizon"], r["n"], ess, f"{r['value']:.4g}", f"{r['uplift']:+.3g}",
             r["verdicts"]["pass"], r["verdicts"]["fail"],
             ", ".join(f"{k} {v}" for k, v in steps.items()) or "0",
             cell(own["wrong verdicts"]) + _at_zero(own), r["decider"], *cells,
             f"{r['cpu_seconds']:.0f}")
        )  # fmt: skip
    head = (
        "process", "estimand", "units", "ESS [10 %, 90 %]", "true value", "true uplift", "pass",
        "fail", "cannot tell, at", "wrong verdicts", "decided by", "value held, judged",
        "uplift held, judged", "uplift held, passed or failed", "uplift width / oracle", "CPU s",
    )  # fmt: skip
    return markdown(head, rows, left=2) if rows else ""


def _at_zero(own: Mapping[str, Figure]) -> str:
    """A fail at an uplift of 0, which is as false as a pass: both claim a side."""
    f = own["fail at 0"]
    return "" if not str(f.target) else f"; fail at 0: {cell(f)}"


def _estimators(figures: Sequence[Figure], part: str) -> str:
    columns = (
        "value held, all", "uplift held, all", "value held, silent", "uplift held, silent",
        "uplift held, judged", "value width", "uplift width", "value bias", "value rmse",
    )  # fmt: skip
    return _pivot(figures, part, columns, "estimator")


def _pivot(figures: Sequence[Figure], part: str, columns: Sequence[str], second: str) -> str:
    """A row for each (name, estimator), a column for each figure, its target in the head."""
    found = _find(figures, part)
    rows = [(*key, *(cell(own.get(c)) for c in columns)) for key, own in found.items()]
    asked = {
        f.what: f" ({f.target})"
        for own in found.values()
        for f in own.values()
        if f.of is not None and f.target != Target()
    }
    head = ("name", second, *(f"{c}{asked.get(c, '')}" for c in columns))
    return markdown(head, rows, left=2) if rows else ""


def _doctor(records: Records, figures: Sequence[Figure], part: str, columns: Sequence[str]) -> str:
    """As `_pivot`, with the checks that spoke."""
    found = _find(figures, part)
    by_name = {r["name"]: r for _, r in records.values()}
    rows = []
    for (name, _), own in found.items():
        checks = ", ".join(f"{k} {v}" for k, v in by_name[name]["checks"].items())
        rows.append((name, by_name[name]["logs"], *(cell(own[c]) for c in columns), checks or "-"))
    return markdown(("log", "logs", *columns, "checks that spoke"), rows) if rows else ""
