"""The climb's records as tables and a file of numbers."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.climb.pictures import climb_picture
from experiments.climb.rounds import behaviour_stage, round_stage
from experiments.climb.settings import Settings
from experiments.common.run_folder import RunFolder
from experiments.common.seeds import seeds_of
from experiments.study.tables import over_seeds
from offpolicy.intervals.binomial import exact_bounds
from offpolicy.pictures import png
from offpolicy.tables import markdown

F64 = NDArray[np.float64]
HALTS = 4  # rounds without a step of which the page says why
Record = dict[str, Any]
Climbs = dict[int, list[Record]]  # of every seed its rounds, in order
COLUMNS = (
    "seed", "round", "sessions", "decisions", "learner_sessions", "judge_sessions", "share", "ess",
    "verdict", "estimate", "bound", "realised", "realised_low", "realised_high", "served",
    "value", "over_behaviour",
)  # fmt: skip


def write(settings: Settings, world: str, folder: RunFolder) -> str:
    """climb.md, rounds.csv and climb.png of a finished run; returns the page's text."""
    s = settings
    read = {
        seed: [folder.read_json(f"stages/{round_stage(seed, n)}.json") for n in range(s.rounds)]
        for seed in seeds_of(s)
    }
    first = [folder.read_json(f"stages/{behaviour_stage(seed)}.json") for seed in read]
    behaviours, steps = np.array([r["value"] for r in first]), taken(read)
    values = np.column_stack([column(read, "served"), column(read, "value")[:, -1]])
    low, realised = (column(read, name)[steps] for name in ("bound", "realised"))
    text = page(s, world, behaviours, read)
    folder.write_text("climb.md", text)
    folder.write_text("rounds.csv", to_csv(read))
    folder.write_bytes("climb.png", png(climb_picture(values, low, realised, s.level)))
    return text


def rows(climbs: Climbs) -> list[Record]:
    """A flat row per seed and round, by the names of `COLUMNS`."""
    return [flat(record) for rounds in climbs.values() for record in rounds]


def flat(record: Record) -> Record:
    """One round's numbers."""
    realised = record["realised"]
    return {name: record[name] for name in COLUMNS if name in record} | {
        "realised": realised["value"],
        "realised_low": realised["low"],
        "realised_high": realised["high"],
        "over_behaviour": record["over_behaviour"]["value"],
    }


def to_csv(climbs: Climbs) -> str:
    """All rows as CSV."""
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(rows(climbs))
    return text.getvalue()


def column(climbs: Climbs, name: str) -> F64:
    """One number of every round (seeds, rounds); nan where there is none."""
    table = [[flat(r)[name] for r in rounds] for rounds in climbs.values()]
    return np.array(table, dtype=np.float64)


def taken(climbs: Climbs) -> NDArray[np.bool_]:
    """(seeds, rounds) whether a step was taken."""
    return column(climbs, "share") > 0


def page(settings: Settings, world: str, behaviours: F64, climbs: Climbs) -> str:
    """Markdown: what was done, a line per round, and the climb in all."""
    s = settings
    lead = (
        f"`{s.behaviour}` climbs towards `{s.target}` in {world}: {s.rounds} rounds of "
        f"{s.sessions:,} sessions, {s.learner_share:.0%} of them learnt from before the step, "
        f"which the others judge; {len(climbs)} seeds."
    )
    parts = [lead, round_table(s, climbs), summary(s, behaviours, climbs), *halts(climbs), notes(s)]
    return "\n\n".join(parts) + "\n"


def round_table(settings: Settings, climbs: Climbs) -> str:
    """A line per round, over seeds."""
    steps, served = taken(climbs), column(climbs, "served")
    of = {n: column(climbs, n) for n in ("share", "ess", "estimate", "bound", "realised")}
    held = of["realised"] >= of["bound"]
    lines = []
    for nth in range(settings.rounds):
        one = steps[:, nth]
        means = {
            name: float(values[one, nth].mean()) if one.any() else np.nan
            for name, values in of.items()
        }
        lines.append(
            [
                str(nth + 1),
                shown(served[:, nth], settings.level),
                f"{int(one.sum())} of {len(one)}",
                text(means["share"], ".3f"),
                text(means["ess"], ",.0f"),
                text(means["estimate"], "+.2f"),
                text(means["bound"], "+.2f"),
                text(means["realised"], "+.2f"),
                f"{int(held[one, nth].sum())} of {int(one.sum())}",
            ]
        )
    after = column(climbs, "value")[:, -1]
    lines.append(["after", shown(after, settings.level), *[""] * 7])
    head = [
        "round", "value served", "steps taken", "share", "ESS", "stated uplift", "stated bound",
        "realised uplift", "realised above bound",
    ]  # fmt: skip
    return markdown(head, lines)


def summary(settings: Settings, behaviours: F64, climbs: Climbs) -> str:
    """The climb in all, as a table of two columns."""
    steps = taken(climbs)
    above = (column(climbs, "realised") >= column(climbs, "bound"))[steps]
    least = column(climbs, "over_behaviour").min(axis=1)
    cost = never_stepping(behaviours, climbs)
    sessions = settings.rounds * settings.sessions
    lines = [
        ["value of the behaviour", shown(behaviours, settings.level)],
        ["value after the last round", shown(column(climbs, "value")[:, -1], settings.level)],
        ["sessions used by a climb", f"{sessions:,}"],
        ["what never stepping would have cost meanwhile", shown(cost, settings.level, ",.0f")],
        ["steps taken", f"{int(steps.sum())} of {steps.size}"],
        ["realised uplift at or above its stated bound", counted(above, settings.level)],
        ["smallest value at the end of a round, less the behaviour's", f"{least.min():+.2f}"],
        ["seeds that ended a round below the behaviour", f"{int((least < 0).sum())}"],
    ]
    return markdown(["in all", ""], lines, left=1)


def halts(climbs: Climbs) -> list[str]:
    """Why rounds took no step, the first few of them."""
    still = [r for rounds in climbs.values() for r in rounds if not r["share"]]
    if not still:
        return []
    lines = [
        f"* seed {r['seed']}, round {r['round'] + 1}: {r['verdict']}: {r['reason']}"
        for r in still[:HALTS]
    ]
    more = f"* ... and {len(still) - HALTS} more rounds" if len(still) > HALTS else None
    return ["\n".join(["Rounds without a step:", "", *lines, *([more] if more else [])])]


def counted(held: NDArray[np.bool_], level: float) -> str:
    """How many of how many, with exact binomial bounds of the share."""
    k, n = int(held.sum()), len(held)
    if n == 0:
        return "0 of 0"
    low, high = exact_bounds(k, n, level)
    return f"{k} of {n} ({low:.1%} to {high:.1%})"


def never_stepping(behaviours: F64, climbs: Climbs) -> F64:
    """(seeds,) reward of all rounds above what the behaviour would have earned of the sessions."""
    gain = column(climbs, "served") - behaviours[:, None]
    cost: F64 = (gain * column(climbs, "sessions")).sum(axis=1)
    return cost


def notes(settings: Settings) -> str:
    """What the columns mean."""
    s = settings
    return (
        "Value: return of a session, in truth, on users that no log met; a seed's policies serve "
        "the same users with the same random numbers. Stated: from the judge's sessions alone; the "
        f"bound holds with confidence {s.confidence:g}. Realised: truth of the new policy less "
        f"truth of the old, on pairs. ESS: effective sessions of the judge. ±: {s.level:.0%} over "
        "seeds (Student t). Share, ESS, stated and realised uplift are means over the steps taken."
    )


def shown(values: F64, level: float, form: str = ".2f") -> str:
    """'12.34 ± 0.56' over seeds."""
    i = over_seeds(values, level)
    return f"{i.value:{form}} ± {i.high - i.value:{form}}"


def text(value: float, form: str) -> str:
    """A number, or '-' where there is none."""
    return "-" if np.isnan(value) else f"{value:{form}}"
