"""The processes by name: shape, and whether the target is worse, equal, better, or the logger."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from experiments.benchmark.referee.processes.bandits import Pay, bandit_process, users_process
from experiments.benchmark.referee.processes.chains import debt, drifting, keeping, tabular
from experiments.benchmark.referee.processes.process import Process
from experiments.benchmark.referee.processes.sessions import Cut, returning_process, session_process
from experiments.benchmark.referee.processes.slates import Kind, slate_process

SIGNS = {"worse": -1.0, "equal": 0.0, "better": 1.0}
RATES = {  # name: rate, decisions, relative uplifts of the three targets, distribution logged
    "rate-50": (0.5, 3000, (-0.05, 0.0, 0.05), True),
    "rate-50-large": (0.5, 14_000, (-0.02, 0.0, 0.02), False),
    "rate-5": (0.05, 4000, (-0.3, 0.0, 0.3), False),
    "rate-5-small": (0.05, 600, (-0.4, 0.0, 0.4), True),
    "rate-1": (0.01, 5000, (-0.4, 0.0, 0.6), True),
    "rate-0.3": (0.003, 5000, (-0.5, 0.0, 0.9), False),
    "rate-0.1": (0.001, 10_000, (-0.5, 0.0, 0.9), True),
}
TAILS: dict[str, tuple[Pay, int]] = {
    "lognormal": ("lognormal", 4000),
    "pareto": ("pareto", 4000),
    "lognormal-small": ("lognormal", 800),
}
DRIFTS = {  # name: sessions, steps, chance to leave, relative uplift, distance, rows in order
    "sessions-fixed": (2500, 5, 0.0, 0.05, 0.4, True),
    "sessions-varying": (2000, 12, 0.2, 0.06, 0.3, False),
    "sessions-far": (3000, 8, 0.02, 0.05, 0.8, True),
}


def _rate(name: str, which: int) -> Process:
    rate, n, uplifts, table = RATES[name]
    return bandit_process(n=n, rate=rate, relative=uplifts[which], table=table)


def _tail(name: str, relative: float) -> Process:
    pay, n = TAILS[name]
    return bandit_process(n=n, pay=pay, relative=relative, seed=4)


def _drift(name: str, sign: float) -> Process:
    n, steps, leave, uplift, far, ordered = DRIFTS[name]
    chain = drifting(6, steps=steps, leave=leave, relative=sign * uplift, far=far)
    return session_process(chain, n=n, ordered=ordered, horizon="per_decision", same=False)


def _keeping(relative: float) -> Process:
    chain = keeping(6, steps=20, relative=relative)
    return session_process(chain, n=2000, ordered=True, horizon="per_decision", same=False)


def _cut(target: float, cut: Cut) -> Process:
    return session_process(debt(target), n=2500, cut=cut, horizon="per_decision", same=False)


def _trajectory(relative: float) -> Process:
    chain = drifting(12, steps=4, leave=0.1, relative=relative, far=0.4)
    return session_process(chain, n=2500, ordered=False, horizon="trajectory", same=False)


def _marginal(relative: float | None) -> Process:
    return session_process(tabular(8, relative), n=1500, horizon="marginal", same=relative is None)


def _same_sessions() -> Process:
    chain = drifting(7, steps=8, leave=0.3, relative=None, far=0.0)
    return session_process(chain, n=1000, ordered=False, horizon="per_decision", same=True)


def _slates(kind: Kind, relative: float | None) -> Process:
    return slate_process(kind, n=4000, rate=0.12, relative=relative)


def _catalogue() -> dict[str, Callable[[], Process]]:
    made: dict[str, Callable[[], Process]] = {}
    for word, sign in SIGNS.items():
        which = list(SIGNS).index(word)
        made |= {f"{name}-{word}": partial(_rate, name, which) for name in RATES}
        made |= {f"{name}-{word}": partial(_tail, name, 0.25 * sign) for name in TAILS}
        made |= {
            f"closed-{word}": partial(
                bandit_process, n=3000, rate=0.2, relative=0.08 * sign, closed=True, seed=9
            ),
            f"loggers-{word}": partial(
                bandit_process, n=4000, rate=0.1, relative=0.2 * sign, loggers=3, seed=10
            ),
            f"pilot-{word}": partial(
                bandit_process, n=5000, rate=0.01, relative=0.4 * sign, pilot=True, seed=11
            ),
            f"users-{word}": partial(users_process, n=1200, rate=0.1, relative=0.15 * sign),
        }
        kinds: tuple[Kind, ...] = ("whole", "cascade", "product")
        made |= {f"slates-{k}-{word}": partial(_slates, k, 0.08 * sign) for k in kinds}
        made |= {f"{name}-{word}": partial(_drift, name, sign) for name in DRIFTS}
        made[f"sessions-users-{word}"] = partial(returning_process, n=1000, relative=0.05 * sign)
        made[f"trajectory-{word}"] = partial(_trajectory, 0.05 * sign)
        made[f"marginal-{word}"] = partial(_marginal, 0.08 * sign)
    return made | {
        "sessions-keeping-better": partial(_keeping, 0.6),
        "sessions-keeping-far-better": partial(_keeping, 0.8),
        "cut-after-worse": partial(_cut, 0.45, "after"),
        "cut-random-worse": partial(_cut, 0.45, "random"),
        "cut-random-better": partial(_cut, 0.27, "random"),
        "same-bandit": partial(bandit_process, n=2000, rate=0.1, relative=None),
        "same-sessions": _same_sessions,
        "same-marginal": partial(_marginal, None),
        "same-slates": partial(_slates, "cascade", None),
    }


LEFT_OUT = {f"{name}-worse" for name in ("rate-50-large", "lognormal-small", "sessions-far")}
PROCESSES = {k: v for k, v in sorted(_catalogue().items()) if k not in LEFT_OUT}
