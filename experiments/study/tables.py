"""The encoder study's results as tables: values, paired gains over no encoder, and aggregates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.common.seeds import seeds_of
from experiments.study.aggregate import Interval, improvement, interquartile_mean, stratified
from experiments.study.settings import END_TO_END, NONE, Cell, Settings, sensible
from offpolicy.tables import markdown

F64 = NDArray[np.float64]
Results = dict[Cell, dict[str, Any]]


def tables(settings: Settings, results: Results) -> str:
    """Markdown: three tables per world, then one over all worlds."""
    parts = [
        part(settings, results, world)
        for world in settings.worlds
        for part in (world_table, best_table, repeat_table)
    ]
    return "\n\n".join([*parts, aggregate_table(settings, results)]) + "\n"


def returns(settings: Settings, results: Results, world: str, encoder: str, agent: str) -> F64:
    """Return of every test session (seeds, sessions)."""
    seeds = seeds_of(settings)
    return np.array([results[Cell(world, encoder, agent, s)]["returns"] for s in seeds])


def over_seeds(values: F64, level: float) -> Interval:
    """Mean over seeds (S,) and its Student t interval: a seed is what differs from run to run."""
    from scipy.stats import t

    n = len(values)
    wide = float(t.ppf((1 + level) / 2, n - 1) * values.std(ddof=1) / n**0.5)
    return Interval(float(values.mean()), float(values.mean()) - wide, float(values.mean()) + wide)


def world_table(settings: Settings, results: Results, world: str) -> str:
    """Return of a session by agent (rows) and encoder (columns), with the gain over no encoder."""
    s = settings
    lines = []
    for agent in s.agents:
        plain = None
        if NONE in s.encoders and sensible(NONE, agent):
            plain = returns(s, results, world, NONE, agent)
        row = [agent]
        for encoder in s.encoders:
            if not sensible(encoder, agent):
                row.append("-")
                continue
            mine = returns(s, results, world, encoder, agent)
            value = over_seeds(mine.mean(axis=1), s.level)
            cell = f"{value.value:.2f} ± {value.high - value.value:.2f}"
            if plain is not None and encoder != NONE:
                gain = over_seeds((mine - plain).mean(axis=1), s.level)
                cell += f" ({gain.value:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}])"
            row.append(cell)
        lines.append(row)
    return text_table([world, *s.encoders], lines)


def best_table(settings: Settings, results: Results, world: str) -> str:
    """The best cell of a world, and the best over a supervised encoder, against every other."""
    s = settings
    every = {
        (e, a): returns(s, results, world, e, a)
        for e in s.encoders
        for a in s.agents
        if sensible(e, a)
    }
    groups = (list(every), [name for name in every if name[0] not in (NONE, END_TO_END)])
    bests = [max(names, key=lambda name: float(every[name].mean())) for names in groups if names]
    return "\n\n".join(against(s, world, every, best) for best in dict.fromkeys(bests))


def against(
    settings: Settings, world: str, every: dict[tuple[str, str], F64], best: tuple[str, str]
) -> str:
    """One cell less every other (encoder, agent), on the same users."""
    lines = []
    for name, other in every.items():
        if name != best:
            gain = over_seeds((every[best] - other).mean(axis=1), settings.level)
            lines.append([f"{name[1]} over {name[0]}", shown(gain, "{:+.2f}")])
    return text_table([f"{world}: {best[1]} over {best[0]}, less", "paired difference"], lines)


def repeat_table(settings: Settings, results: Results, world: str) -> str:
    """The same agents where nothing is shown that a history holds, which is what was taken of late:
    return, what that costs on the same users, and the share of the catalogue shown."""
    s = settings
    lines = []
    for agent in s.agents:
        for encoder in (e for e in s.encoders if sensible(e, agent)):
            cells = [results[Cell(world, encoder, agent, n)] for n in seeds_of(s)]
            strict = np.array([cell["no_repeat"]["returns"] for cell in cells]).mean(axis=1)
            cost = strict - np.array([cell["returns"] for cell in cells]).mean(axis=1)
            value = over_seeds(strict, s.level)
            shares = [
                np.mean([c["coverage"] for c in part])
                for part in (cells, [cell["no_repeat"] for cell in cells])
            ]
            lines.append(
                [
                    f"{agent} over {encoder}",
                    f"{value.value:.2f} ± {value.high - value.value:.2f}",
                    shown(over_seeds(cost, s.level), "{:+.2f}"),
                    f"{shares[0]:.0%} -> {shares[1]:.0%}",
                ]
            )
    title = f"{world}, nothing taken is shown again"
    return text_table([title, "return", "against repeats", "catalogue"], lines)


def aggregate_table(settings: Settings, results: Results) -> str:
    """Over all worlds, in standard deviations of what cells of a world reach."""
    s = settings
    means = {
        (e, a): np.array([returns(s, results, w, e, a).mean(axis=1) for w in s.worlds])
        for e in s.encoders
        for a in s.agents
        if sensible(e, a)
    }  # (worlds, seeds)
    every = np.stack(list(means.values()))
    centre, spread = every.mean(axis=(0, 2)), every.std(axis=(0, 2))
    scale = np.where(spread > 0, spread, 1.0)[:, None]
    lines = []
    for (encoder, agent), table in means.items():
        score = stratified(interquartile_mean, (table - centre[:, None]) / scale, seed=0)
        better = "-"
        if encoder != NONE and (NONE, agent) in means:
            better = shown(stratified(improvement, table, means[NONE, agent], seed=0), "{:.0%}")
        seen = [
            results[Cell(w, encoder, agent, n)]["coverage"] for w in s.worlds for n in seeds_of(s)
        ]
        row = [f"{encoder}, {agent}", shown(score, "{:+.2f}"), better, f"{np.mean(seen):.0%}"]
        lines.append(row)
    note = (
        "± and [ ]: 95% over seeds (Student t; pairs meet the same users: common random numbers). "
        "Interquartile mean over worlds and seeds and chance to beat the same agent without an "
        "encoder, with stratified bootstrap intervals (Agarwal et al., 2021)."
    )
    head = ["encoder, agent", "interquartile mean, s.d.", "beats no encoder", "catalogue"]
    return text_table(head, lines) + "\n\n" + note.replace("95%", f"{s.level:.0%}")


def text_table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table of text cells."""
    return markdown(head, lines, left=len(head))


def shown(interval: Interval, form: str) -> str:
    """value [low, high]."""
    value, low, high = (form.format(x) for x in interval)
    return f"{value} [{low}, {high}]"
