"""The least of a smooth function of many parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scipy.optimize import minimize

from recsim_env.calibration.served.log import F64

_minimize: Any = minimize  # its stubs do not know a function that returns its slope, too


def least(
    loss: Callable[[F64], tuple[float, F64]], start: F64, iterations: int
) -> tuple[float, F64]:
    """The value and the place (P,) that L-BFGS reaches from `start`; `loss` gives value and
    slope."""
    options = {"maxiter": iterations, "maxcor": 20}
    found = _minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    return float(found.fun), found.x


def least_of_few(loss: Callable[[F64], float], start: F64, iterations: int) -> tuple[float, F64]:
    """As `least` where there are two or three parameters and no slope (Nelder and Mead, 1965)."""
    found = _minimize(loss, start, method="Nelder-Mead", options={"maxiter": iterations})
    return float(found.fun), found.x
