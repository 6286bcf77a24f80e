"""Outcomes watched one after another: a detector of changes that may be looked at at any time."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.errors import LogError
from offpolicy.intervals.inference import check_level, quantile
from offpolicy.log.columns import numbers
from offpolicy.log.groups import group

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Direction = Literal["both", "down", "up"]
SIDES: dict[Direction, tuple[Literal["down", "up"], ...]] = {
    "both": ("down", "up"),
    "down": ("down",),
    "up": ("up",),
}
BETS = 8  # shares 1/2, 1/4 ... of the largest bet that can never be ruined
BLOCK = 1 << 12  # values worked on together
LISTS = ("restarts", "fortunes", "lowest", "lowest_at")  # of the state: a number for each bet
TRIMS = (0.005, 0.001, 0.0)  # shares cut off each end; the first that leaves values that vary


@dataclass(frozen=True, slots=True)
class Reference:
    """What outcomes were: the mean of values that are cut to [floor, ceiling], and its bounds."""

    mean: float
    low: float  # the mean is above it, but for `miss`
    high: float
    floor: float  # values below count as this, so that one value cannot raise an alarm by itself
    ceiling: float
    units: int  # independent units behind the mean

    def __post_init__(self) -> None:
        if not self.floor <= self.mean <= self.ceiling or not self.low <= self.mean <= self.high:
            raise LogError(
                f"reference mean {self.mean} is not between low {self.low} and high {self.high}, "
                f"floor {self.floor} and ceiling {self.ceiling}"
            )
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise LogError("reference values are too large for bounds: no change would be seen")
        if not (self.floor < self.high and self.low < self.ceiling):
            raise LogError(f"reference values are all {self.mean}: nothing that varies to compare")


def reference_of(
    values: ArrayLike,
    unit: ArrayLike | None = None,
    *,
    tolerance: float = 0.0,
    miss: float = 0.01,
) -> Reference:
    """The reference of values (N,), one a session, whose `unit` (N,) (a user) is independent.

    `low` and `high` each miss the mean with probability `miss` (Student's t, clustered by unit) and
    are moved out by `tolerance` times the size of the mean: smaller changes are not wanted.

    Raises:
        LogError: fewer than 2 units, values that are missing or do not vary, a negative tolerance.
    """
    x = _finite("reference", values)
    check_level(miss)
    if not tolerance >= 0:
        raise LogError(f"tolerance = {tolerance}; it is a share of the mean, 0 or above")
    code = np.arange(len(x)) if unit is None else group(np.asarray(unit)).code
    if code.shape != x.shape:
        raise LogError(f"unit has shape {code.shape}; it is {x.shape}, one a value")
    units = int(code.max(initial=-1)) + 1
    if units < 2:
        raise LogError(f"a reference needs 2 independent units, got {units}; give more sessions")
    floor, ceiling = x.min(), x.max()
    for trim in TRIMS:
        floor, ceiling = np.quantile(x, (trim, 1 - trim), method="inverted_cdf")
        if floor < ceiling:
            break
    cut = np.clip(x, floor, ceiling)
    mean = float(cut.mean())
    psi = np.bincount(code, cut - mean, units) * units / len(x)
    with np.errstate(over="ignore"):  # the reference refuses bounds that are none
        se = math.sqrt(float(psi @ psi) / (units - 1) / units)
    wide = quantile(1 - miss, units - 1) * se + tolerance * abs(mean)
    return Reference(mean, mean - wide, mean + wide, float(floor), float(ceiling), units)


@dataclass(frozen=True, slots=True)
class Alarm:
    """The mean left the reference."""

    at: int  # values that had been seen when it was raised, from 1
    since: int  # the value at which the change seems to have begun, from 1
    direction: Literal["down", "up"]
    evidence: float  # of the detector, above `run_length`
    run_length: float  # values to a false alarm, at least, on average

    def __str__(self) -> str:
        return (
            f"outcomes went {self.direction} from about value {self.since} on, seen at value "
            f"{self.at}; without a change an alarm comes after {self.run_length:,.0f} values or "
            "more on average"
        )


@dataclass(frozen=True, slots=True)
class Outcomes:
    """State of the detector: plain numbers, `to_json` and `from_json`; `update` gives the next one.

    Each bet is a fortune that grows by 1 + bet (low - x) with a value x (down; up likewise). While
    the mean of a value, given those before it, is inside the reference, no bet gains on average.
    Restarting sums of such fortunes are e-detectors: their mean over bets and sides passes
    `run_length` after at least that many values on average, whatever the distribution of values
    and however often one looks (Shin, Ramdas & Rinaldo, 2023). They see a change that comes late
    as soon as an early one. The reference itself misses with its `miss`.

    Values are of independent units: several sessions of one user enter as their mean. What changes
    by day and week must stand in the reference, too.
    """

    reference: Reference
    run_length: float
    direction: Direction
    n: int  # values seen
    restarts: tuple[float, ...]  # log(1 + restarting sum), a number for each side and bet
    fortunes: tuple[float, ...]  # log fortune since the beginning
    lowest: tuple[float, ...]  # the least log fortune since the last alarm
    lowest_at: tuple[int, ...]  # values seen at that time
    best: float  # the largest log mean fortune ever
    alarms: int  # raised so far

    @classmethod
    def begin(
        cls, reference: Reference, *, run_length: float = 10_000, direction: Direction = "both"
    ) -> Outcomes:
        """Before the first value. `run_length` is in values (sessions): of 1,000 sessions a day,
        10,000 allow one false alarm in ten days at most, on average.

        Raises:
            LogError: a run length that is not above 1, or an unknown direction.
        """
        if not 1 < run_length < math.inf:
            raise LogError(f"run_length = {run_length}; it is a number of values, above 1")
        if direction not in SIDES:
            raise LogError(f"direction = {direction!r}; it is one of {', '.join(SIDES)}")
        size = BETS * len(SIDES[direction])
        zero, never = (0.0,) * size, (0,) * size
        return cls(reference, run_length, direction, 0, zero, zero, zero, never, 0.0, 0)

    def update(self, values: ArrayLike) -> tuple[Outcomes, Alarm | None]:
        """The state after some values (n,), and the first alarm among them; the detector starts
        anew after each alarm. The result is the same however values are cut into parts.

        Raises:
            LogError: values that are missing or no numbers.
        """
        x = _finite("values", values)
        state, first, at = self, None, 0
        while at < len(x):
            state, alarm = _advanced(state, x[at : at + BLOCK])
            first, at = first or alarm, state.n - self.n
        return state, first

    @property
    def p_value(self) -> float:
        """Of the claim that the mean never left the reference: valid at all looks together
        (Ville's inequality); it does not forget, unlike the alarms."""
        return min(1.0, math.exp(-self.best))

    def to_json(self) -> str:
        """All of the state, as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Outcomes:
        """The state that `to_json` wrote.

        Raises:
            LogError: it is no such state.
        """
        try:
            found = json.loads(text)
            reference = Reference(**found.pop("reference"))
            _check_names(found)
            lists = {k: tuple(v) for k, v in found.items() if isinstance(v, list)}
            state = cls(reference=reference, **(found | lists))
            size = BETS * len(SIDES[state.direction])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise LogError(
                f"this is no state of a detector ({error}); give what Outcomes.to_json wrote"
            ) from error
        for name in LISTS:
            if len(getattr(state, name)) != size:
                raise LogError(f"{name} of the state has not {size} numbers; begin a new one")
        return state


def _advanced(state: Outcomes, x: F64) -> tuple[Outcomes, Alarm | None]:
    """Up to the end of `x` or to the first alarm in it, whichever comes first."""
    gains = np.cumsum(_log_growth(state, x), axis=0)  # (n, M)
    before = np.vstack([state.restarts, -gains[:-1]])
    sums = gains + np.logaddexp.accumulate(before, axis=0)  # (n, M) log restarting sums
    evidence = _log_mean(sums)
    over = np.flatnonzero(evidence >= math.log(state.run_length))
    n = int(over[0]) + 1 if len(over) else len(x)
    fortunes = np.asarray(state.fortunes) + gains[:n]
    lowest, lowest_at = _lowest(state, fortunes)
    after = replace(
        state,
        n=state.n + n,
        restarts=tuple(np.logaddexp(0.0, sums[n - 1]).tolist()),
        fortunes=tuple(fortunes[-1].tolist()),
        lowest=tuple(lowest.tolist()),
        lowest_at=tuple(lowest_at.tolist()),
        best=max(state.best, float(_log_mean(fortunes).max())),
    )
    if not len(over):
        return after, None
    top = int(sums[n - 1].argmax())
    alarm = Alarm(
        at=after.n,
        since=int(lowest_at[top]) + 1,
        direction=SIDES[state.direction][top // BETS],
        evidence=math.exp(min(float(evidence[n - 1]), 700.0)),
        run_length=state.run_length,
    )
    size = len(state.restarts)
    anew = replace(
        after,
        restarts=(0.0,) * size,
        lowest=after.fortunes,
        lowest_at=(after.n,) * size,
        alarms=after.alarms + 1,
    )
    return anew, alarm


def _log_growth(state: Outcomes, x: F64) -> F64:
    """(n, M) log factors by which the fortunes grow; none is below 1/2."""
    r = state.reference
    x, share = np.clip(x, r.floor, r.ceiling), 0.5 ** np.arange(1, BETS + 1)
    parts = []
    for side in SIDES[state.direction]:
        gap = r.low - x if side == "down" else x - r.high
        worst = r.ceiling - r.low if side == "down" else r.high - r.floor
        parts.append(np.log1p(gap[:, None] / worst * share))
    return np.hstack(parts)


def _lowest(state: Outcomes, fortunes: F64) -> tuple[F64, I64]:
    """The least fortune so far and when it was."""
    old, columns = np.asarray(state.lowest), np.arange(fortunes.shape[1])
    last = len(fortunes) - 1 - fortunes[::-1].argmin(axis=0)
    new = fortunes[last, columns]
    newer = new <= old
    at = np.where(newer, state.n + 1 + last, np.asarray(state.lowest_at))
    return np.where(newer, new, old), at


def _log_mean(logs: F64) -> F64:
    """(n,) logarithm of the mean over the last axis of numbers given by logarithms."""
    top = logs.max(axis=1)
    return np.asarray(top + np.log(np.exp(logs - top[:, None]).mean(axis=1)))


def _finite(name: str, values: ArrayLike) -> F64:
    x = numbers(name, values)
    if x.ndim != 1:
        raise LogError(f"{name} has shape {x.shape}; it is (n,), one number a session")
    off = np.flatnonzero(~np.isfinite(x))
    if off.size:
        raise LogError(
            f"{name}[{off[0]}] = {x[off[0]]} is not finite; drop the session or fix its reward"
        )
    return x


def _check_names(found: Mapping[str, Any]) -> None:
    wanted = {f.name for f in fields(Outcomes)} - {"reference"}
    if found.keys() != wanted:
        raise ValueError(f"names {sorted(found.keys() ^ wanted)} are missing or unknown")
    for name in wanted - {"direction"}:
        value, kinds = found[name], (int,) if name in ("n", "alarms", "lowest_at") else (int, float)
        each = value if isinstance(value, list) else [value]
        if isinstance(value, list) != (name in LISTS) or any(type(x) not in kinds for x in each):
            raise ValueError(f"{name} is {str(value)[:80]}")
