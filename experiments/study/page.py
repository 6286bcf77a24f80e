"""The page of `longplay study`: which encoder pays under which agent, world by world."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from experiments.page.along import settings_facts
from experiments.study.aggregate import Interval
from experiments.study.settings import END_TO_END, NONE, Settings, sensible
from experiments.study.tables import F64, Results, over_seeds, returns, shown
from offpolicy.page import charts
from offpolicy.page import html as page
from offpolicy.page.colours import colours

Cells = Mapping[tuple[str, str], F64]  # (encoder, agent) -> returns (seeds, sessions)
MOST = 14  # cells of a picture, the best ones


def study_page(settings: Settings, results: Results, tables: str, record: Mapping[str, Any]) -> str:
    """The best cell of each world and what an encoder adds there; tables: Markdown of all cells."""
    s = settings
    every = {world: _cells(s, results, world) for world in s.worlds}
    said = [_sentence(world, cells, s.level) for world, cells in every.items()]
    shades = colours(s.agents)
    parts = [
        page.answer("cannot tell", said[0], said[1:]),
        page.facts(
            f"values: reward a session, [ ]: {s.level:.0%} over {s.seeds} seeds (Student t)",
            f"{s.sessions:,} test sessions a cell, of the same users for a world and seed",
            f"{s.steps:,} decisions to learn from",
            settings_facts(record.get("made", {})),
        ),
        *(page.section(world, *_world(s, cells, shades)) for world, cells in every.items()),
        page.fold("All tables", tables),
        page.fold("Settings and versions", json.dumps(record, indent=2)),
    ]
    lead = f"{len(s.encoders)} encoders under {len(s.agents)} agents in {len(s.worlds)} worlds."
    return page.page("Which encoder pays under which agent", lead, parts)


def _cells(s: Settings, results: Results, world: str) -> Cells:
    return {
        (e, a): returns(s, results, world, e, a)
        for e in s.encoders
        for a in s.agents
        if sensible(e, a)
    }


def _sentence(world: str, cells: Cells, level: float) -> str:
    """The best cell, and whether its encoder is better than the best agent without one."""
    best = max(cells, key=lambda name: float(cells[name].mean()))
    value = shown(over_seeds(cells[best].mean(axis=1), level), "{:.2f}")
    first = f"{world}: {_name(best)} earns most, {value}"
    plain = [name for name in cells if name[0] == NONE]
    if best[0] == NONE or not plain:
        return first + ("; no encoder does better." if best[0] == NONE else ".")
    other = max(plain, key=lambda name: float(cells[name].mean()))
    gain = over_seeds((cells[best] - cells[other]).mean(axis=1), level)
    word = verdict_of(gain)
    return f"{first}; {word} than {_name(other)} ({shown(gain, '{:+.2f}')}, paired)."


def _world(s: Settings, cells: Cells, shades: Mapping[str, str]) -> list[str]:
    """A table of what encoders add, and a picture of the best cells."""
    rows = []
    for (encoder, agent), mine in cells.items():
        plain = cells.get((NONE, agent))
        row = {"cell": _name((encoder, agent)), "against no encoder": "-"}
        gain_text = "-"
        if plain is not None and encoder != NONE:
            gain = over_seeds((mine - plain).mean(axis=1), s.level)
            row["against no encoder"] = verdict_of(gain)
            gain_text = shown(gain, "{:+.2f}")
        value = over_seeds(mine.mean(axis=1), s.level)
        rows.append(row | {"return": shown(value, "{:.2f}"), "paired gain": gain_text})
    ranked = sorted(cells, key=lambda name: -float(cells[name].mean()))
    drawn = [
        charts.Row(_name(name), *over_seeds(cells[name].mean(axis=1), s.level))
        for name in ranked[:MOST]
    ]
    rows = [rows[list(cells).index(name)] for name in ranked]
    by_cell = {_name(name): shades[name[1]] for name in cells}
    caption = (
        f"Return of a session, the best {len(drawn)} cells with {s.level:.0%} intervals over "
        "seeds; one colour for one agent. The best of many flatters itself."
    )
    picture = charts.intervals(drawn, by_cell, x_title="reward a session", caption=caption)
    return [picture, page.table(rows, colours=by_cell)]


def verdict_of(gain: Interval) -> str:
    """better, worse, or cannot tell."""
    return "better" if gain.low > 0 else "worse" if gain.high < 0 else "cannot tell"


def _name(cell: tuple[str, str]) -> str:
    encoder, agent = cell
    if encoder == NONE:
        return f"{agent}, no encoder"
    return f"{agent}, {encoder}" if encoder == END_TO_END else f"{agent} on {encoder}"
