"""Faults of a canary: worse, better only at first, and one that logs wrong propensities."""

from __future__ import annotations

from experiments.faults.releases import BETTER, FITTED, WORSE, Release, made
from experiments.faults.service.canaries import Around, Misdrawing, Turning
from experiments.faults.service.parts import Parts

SHARPER = 2.0  # temperature that is logged, over that which is drawn with


def turning(parts: Parts, moment: float) -> Around:
    """From the moment on it serves what is worse than what is live."""
    worse = made().mixed(WORSE)
    return lambda policy: Turning(policy, worse, parts.clock, moment)


def misdrawn(parts: Parts, moment: float) -> Around:
    """It draws with half the temperature that it logs."""
    sharper = made(FITTED / SHARPER).learnt
    return lambda policy: Misdrawing(policy, sharper)


RELEASES = (
    Release(
        name="canary-propensities",
        title="wrong propensities",
        stands_for="a canary that draws its slates with half the temperature that it logs",
        said=BETTER,
        around=misdrawn,
        days=2,
        seen_by=("LongplayArmMeanWeight", "LongplayMeanWeight", "rollout: hard stop"),
    ),
    Release(
        name="canary-worse",
        title="10 % worse",
        stands_for="a canary that is said to be better, and is worth a tenth less than control",
        said=WORSE,
        days=4,
        seen_by=("rollout: soft stop", "LongplayUplift"),
    ),
    Release(
        name="canary-at-first",
        title="better at first",
        stands_for="a canary that is worth a tenth more than control for half a day, then a tenth "
        "less",
        said=BETTER,
        around=turning,
        turn=0.5,
        days=6,
        seen_by=("rollout: soft stop", "LongplayUplift"),
    ),
)
