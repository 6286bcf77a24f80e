"""Criteo's counterfactual learning data (text): banners of products with logged propensities."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offpolicy import LoggedDataset

CLICKED = 0.5  # costs of the challenge are .999 without and .001 with a click


@dataclass(slots=True)
class Banner:
    """One impression: its header, and its candidates with the displayed ones first."""

    name: str
    where: str
    reward: float
    propensity: float
    slots: int
    candidates: int | None = None  # that the header promises
    products: list[str] = field(default_factory=list)
    clicks: list[float] = field(default_factory=list)


def read(path: Path) -> LoggedDataset:
    """Impressions as single decisions: the slate is what the slots showed, the propensity that of
    the whole banner, the reward 1 where the ad was clicked. Lefortier et al. (2016).

    Two layouts are read: a header `example ID: HASH CLICKED PROPENSITY SLOTS CANDIDATES FEATURES`
    over a line `CLICKED exid:ID FEATURES` for each candidate, and, for one slot, lines
    `ID |l COST |p PROPENSITY |f FEATURES` whose first is what was shown. A number above 1 is an
    inverse propensity. Products have no ids: one is named by its features, and by its place among
    equals of the same banner.

    Raises ValueError, which names the line, for text of another layout.
    """
    banners = [_checked(banner) for banner in _banners(path)]
    if not banners:
        raise ValueError(f"{path} holds no impression")
    named = [_apart(b.products) for b in banners]
    codes = {name: at for at, name in enumerate(dict.fromkeys(n for some in named for n in some))}
    offered = _filled([[codes[n] for n in names] for names in named], -1, np.int32)
    slots = np.array([b.slots for b in banners])
    shown = np.arange(slots.max()) < slots[:, None]
    slate = np.where(shown, offered[:, : slots.max()], -1)
    clicks = np.where(
        shown, _filled([b.clicks for b in banners], 0.0, np.float64)[:, : slots.max()], 0
    )
    first = np.take_along_axis(slate, clicks.argmax(1)[:, None], axis=1)[:, 0]
    return LoggedDataset.from_columns(
        session=[b.name for b in banners],
        step=np.zeros(len(banners), np.int32),
        slate=slate,
        candidates=offered,
        propensity=np.array([b.propensity for b in banners]),
        reward=np.array([b.reward for b in banners]),
        consumed=np.where(clicks.any(1), first, -1),
        n_items=len(codes),
        item_names=list(codes),
    )


def _filled(rows: list[Any], empty: float, kind: Any) -> NDArray[Any]:
    out = np.full((len(rows), max(map(len, rows))), empty, kind)
    for row, values in zip(out, rows, strict=True):
        row[: len(values)] = values
    return out


def _banners(path: Path) -> Iterator[Banner]:
    open_one: Banner | None = None
    with path.open("rb") as lines:
        for at, line in enumerate(lines, 1):
            where = f"{path}, line {at}"
            if not line.strip():
                continue
            try:
                words = line.decode("utf-8-sig" if at == 1 else "utf-8").split()
                begun = _header(words, where)
                if begun is not None:
                    if open_one is not None:
                        yield open_one
                    open_one = begun
                if words[0] != "example":
                    _add(open_one, words, where)
            except (ValueError, IndexError) as error:
                said = line.decode("utf-8", "replace").strip()[:80]
                raise ValueError(f"{where}: {said!r} is none of its lines ({error})") from None
    if open_one is not None:
        yield open_one


def _header(words: list[str], where: str) -> Banner | None:
    """The impression that a line begins, if it begins one."""
    if words[0] == "example":
        name, _, clicked, chance, slots, candidates = words[1:7]
        return Banner(
            name.rstrip(":"), where, _flag(clicked), _chance(chance), int(slots), int(candidates)
        )
    if "|l" in words:
        cost = float(words[words.index("|l") + 1])
        if not 0 <= cost <= 1:
            raise ValueError(f"the cost is {cost}; it lies between 0, a click, and 1")
        chance = words[words.index("|p") + 1]
        return Banner(words[0], where, float(cost < CLICKED), _chance(chance), 1)
    return None


def _add(banner: Banner | None, words: list[str], where: str) -> None:
    """A candidate of the impression that is open."""
    if "|f" in words:
        mine, features = words[0], words[words.index("|f") + 1 :]
        click = banner.reward if banner is not None and not banner.products else 0.0
    else:
        mine, features, click = words[1].removeprefix("exid:"), words[2:], _flag(words[0])
    if banner is None or mine != banner.name:
        raise ValueError(f"a candidate of {mine} stands under {banner and banner.name}")
    banner.products.append(" ".join(features))
    banner.clicks.append(click)


def _flag(text: str) -> float:
    if (number := float(text)) not in (0, 1):
        raise ValueError(f"{text} is no click: write 0 or 1")
    return number


def _chance(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise ValueError(f"the propensity is {text}; it is above 0, and finite")
    return 1 / number if number > 1 else number


def _checked(banner: Banner) -> Banner:
    n = len(banner.products)
    if banner.candidates not in (None, n) or not 1 <= banner.slots <= n:
        raise ValueError(
            f"{banner.where}: {banner.name} has {n} candidates below it, for {banner.slots} slots"
            + ("" if banner.candidates is None else f" and {banner.candidates} in its header")
        )
    return banner


def _apart(products: list[str]) -> list[str]:
    """Names of the candidates of a banner: equal ones are told apart by their place."""
    out: dict[str, None] = {}
    for product in products:
        numbered = (f"{product} #{place}" for place in count(2))
        out[next(name for name in chain([product], numbered) if name not in out)] = None
    return list(out)
