"""Continuous actions: a kernel around the target's action stands in for its point mass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.estimators.terms import F64, Terms

KERNELS: dict[str, Callable[[F64], F64]] = {
    "gaussian": lambda u: np.exp(-0.5 * u**2) / np.sqrt(2 * np.pi),
    "epanechnikov": lambda u: 0.75 * np.maximum(1 - u**2, 0),
    "triangular": lambda u: np.maximum(1 - np.abs(u), 0),
    "cosine": lambda u: np.where(np.abs(u) <= 1, np.pi / 4 * np.cos(np.pi / 2 * u), 0),
}
CUMULATIVE: dict[str, Callable[[F64], F64]] = {
    "gaussian": lambda u: _normal(u),
    "epanechnikov": lambda u: _of_unit(u, lambda x: (2 + 3 * x - x**3) / 4),
    "triangular": lambda u: _of_unit(u, lambda x: (1 + x * (2 - np.abs(x))) / 2),
    "cosine": lambda u: _of_unit(u, lambda x: (1 + np.sin(np.pi / 2 * x)) / 2),
}
LEAST_MASS = 0.01  # of a target's kernel inside the range of actions


def kernel_terms(
    action: ArrayLike,
    target_action: ArrayLike,
    density: ArrayLike,
    reward: ArrayLike,
    *,
    bandwidth: float,
    kernel: str = "epanechnikov",
    q_logged: ArrayLike | None = None,
    v_target: ArrayLike | None = None,
    bounds: tuple[ArrayLike, ArrayLike] | None = None,
    unit: NDArray[np.generic] | None = None,
    row_weight: ArrayLike | None = None,
) -> Terms:
    """Weights K((target - action) / h) / (h f m) for a deterministic target; `density` f is the
    logging density of the logged action, m the mass of the target's kernel inside `bounds`, the
    least and largest action that the logging policy could take (numbers, or (N,) a row each); left
    out, the least and largest action of the log. Biased by order h^2 within, by order h where the
    target is nearer than h to a bound: the kernel then reaches to one side only. ips, snips and dr
    apply; the model's v is its value of the target's action. Kallus & Zhou (2018); the division by
    the mass inside as in Jones (1993).

    Raises:
        ValueError: an unknown kernel, a density or bandwidth that is not positive, an action or a
            target outside the bounds.
    """
    if kernel not in KERNELS:
        raise ValueError(f"no kernel {kernel!r}; there are {', '.join(KERNELS)}")
    if not bandwidth > 0:
        raise ValueError(f"bandwidth = {bandwidth} must be above 0, in the unit of the action")
    f, own_action = np.asarray(density, np.float64), np.asarray(action, np.float64)
    wanted = np.asarray(target_action, np.float64)
    if not f.shape == own_action.shape == wanted.shape:
        raise ValueError(
            f"density {f.shape}, action {own_action.shape} and target_action {wanted.shape} are "
            "one entry a decision each"
        )
    if not (f > 0).all():
        row = int(np.flatnonzero(~(f > 0))[0])
        raise ValueError(f"density[{row}] = {f[row]}; the density of a logged action is above 0")
    u = (wanted - own_action) / bandwidth
    mass = _mass(own_action, wanted, bandwidth, kernel, bounds)
    own = np.arange(len(f)) if unit is None else unit
    return Terms(
        KERNELS[kernel](u) / (bandwidth * f * mass),
        reward,
        q_logged,
        v_target,
        own,
        horizon="one_step",
        row_weight=row_weight,
    )


def _mass(
    action: F64,
    target: F64,
    bandwidth: float,
    kernel: str,
    bounds: tuple[ArrayLike, ArrayLike] | None,
) -> F64:
    """(N,) share of the kernel around each target that lies where actions can be."""
    given = (action.min(), action.max()) if bounds is None else bounds
    low, high = (np.broadcast_to(np.asarray(b, np.float64), action.shape) for b in given)
    if not (low < high).all():
        raise ValueError(
            f"actions lie between bounds {given}, the lower first; with one action in the log its "
            "range is not known: give bounds=(low, high)"
        )
    for name, x in (("action", action), ("target_action", target)):
        off = np.flatnonzero(~((x >= low) & (x <= high)))
        if off.size and (bounds is not None or name == "action"):
            row = int(off[0])
            raise ValueError(
                f"{name}[{row}] = {x[row]:.6g} lies outside bounds [{low[row]:.6g}, "
                f"{high[row]:.6g}]: the log cannot speak of it. Correct the row or the bounds, or "
                "clip the target to them"
            )
    below = CUMULATIVE[kernel]((low - target) / bandwidth)
    mass = np.asarray(CUMULATIVE[kernel]((high - target) / bandwidth) - below, np.float64)
    far = np.flatnonzero(~(mass >= LEAST_MASS))
    if far.size:
        row = int(far[0])
        raise ValueError(
            f"target_action[{row}] = {target[row]:.6g} lies a bandwidth outside the logged actions "
            f"[{low[row]:.6g}, {high[row]:.6g}]: none is in reach. Clip the target to what was "
            "logged, or give the bounds of the actions"
        )
    return mass


def _normal(u: F64) -> F64:
    from scipy.special import ndtr

    return np.asarray(ndtr(u), np.float64)


def _of_unit(u: F64, cumulative: Callable[[F64], F64]) -> F64:
    return cumulative(np.clip(u, -1, 1))
