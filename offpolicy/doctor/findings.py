"""One finding of the log doctor."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from enum import IntEnum

WARN_BELOW, FAIL_BELOW = 3e-4, 1e-6  # p-values of one check, after Bonferroni inside the check: by
# Bonferroni over the fifteen or so checks of a log, one clean log in 200 is warned about
ADVICE = (
    "Log the probability of what was REALLY served, by the policy that served it, at serve time."
)


class Level(IntEnum):
    """Severity."""

    PASS = 0
    WARN = 1
    FAIL = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check observed, the rule, and how to fix a log that breaks it."""

    check: str
    level: Level
    found: str
    rule: str = ""
    fix: str = ""
    p_value: float | None = None
    row: int | None = None  # the first row that breaks the rule, where there is one

    @property
    def mend(self) -> str:
        """Deprecated name of `fix`."""
        warnings.warn("Finding.mend is now Finding.fix", DeprecationWarning, stacklevel=2)
        return self.fix


def by_p_value(
    check: str, p: float, found: str, rule: str, fix: str, row: int | None = None
) -> Finding:
    """Warn below WARN_BELOW, fail below FAIL_BELOW."""
    level = Level.FAIL if p < FAIL_BELOW else Level.WARN if p < WARN_BELOW else Level.PASS
    return Finding(check, level, f"{found} (p = {p:.2g})", rule, fix, p, row)


def by_share(
    check: str, broken: int, of: int, found: str, rule: str, fix: str, row: int | None
) -> Finding:
    """Warn where any of the rows breaks the rule, fail where more than one in a hundred does."""
    level = Level.FAIL if broken > 0.01 * of else Level.WARN if broken else Level.PASS
    return Finding(check, level, found, rule, fix, row=row)


def two_sided(z: float, tests: int = 1) -> float:
    """p-value of a standard normal, Bonferroni over `tests`."""
    return above(abs(z), 2 * tests)


def above(z: float, tests: int = 1) -> float:
    """One-sided p-value of a standard normal, Bonferroni over `tests`."""
    from scipy.special import ndtr

    return min(float(ndtr(-z)) * tests, 1.0)
