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
    unit: NDArray[np.generic] | None = None,
    row_weight: ArrayLike | None = None,
) -> Terms:
    """Weights K((target - action) / h) / (h f) for a deterministic target; `density` is the logging
    density of the logged action. Biased by order h^2. ips, snips and dr apply; the model's v is its
    value of the target's action. Kallus & Zhou (2018).

    Raises:
        ValueError: an unknown kernel, a density or bandwidth that is not positive.
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
    own = np.arange(len(f)) if unit is None else unit
    return Terms(
        KERNELS[kernel](u) / (bandwidth * f), reward, q_logged, v_target, own, horizon="one_step",
        row_weight=row_weight,
    )  # fmt: skip
