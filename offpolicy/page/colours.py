"""A colour for each policy, by its name: the same one in every picture, light and dark."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

LIGHT = (
    "#2b62b5", "#c2571a", "#1d8a55", "#8a45b5", "#b52d52", "#7d7a1c", "#1f8497", "#9a6a43",
    "#c08a00", "#5b4fd0", "#c74f9a", "#4d8fc9", "#5f6b2e", "#7a1f2b",
)  # fmt: skip
DARK = (
    "#7fadf2", "#f39a63", "#5fcf98", "#c995ee", "#f2809d", "#d0cb62", "#63cadd", "#d3a983",
    "#f0c14b", "#a9a0ff", "#f29ad0", "#a5d3f7", "#b7c98a", "#e6a0a8",
)  # fmt: skip
BASELINES = ("logging policy", "uniform slates")  # what others are held against: ink, dashed


def places(names: Iterable[str]) -> dict[str, int]:
    """The place of each name in the palette: where its letters point, the next free one where two
    point to the same. Names beyond the palette's size share colours."""
    taken = dict[str, int]()
    for name in dict.fromkeys(n for n in names if n not in BASELINES):
        free = set(range(len(LIGHT))) - set(taken.values()) or set(range(len(LIGHT)))
        start = zlib.crc32(name.encode()) % len(LIGHT)
        taken[name] = min(free, key=lambda place: (place - start) % len(LIGHT))
    return taken


def colours(names: Iterable[str]) -> dict[str, str]:
    """The colour of each name as a variable of the page's style."""
    names = list(names)
    base = {name: "var(--ink)" for name in names if name in BASELINES}
    return {name: f"var(--p{place})" for name, place in places(names).items()} | base


def hex_colours(names: Iterable[str]) -> dict[str, str]:
    """The same colours for a picture that is no part of a page, on a light ground."""
    names = list(names)
    base = {name: "#1d2733" for name in names if name in BASELINES}
    return {name: LIGHT[place] for name, place in places(names).items()} | base
