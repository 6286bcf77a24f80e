"""A rollout in the middle, as its journal holds it."""

from __future__ import annotations

from serving.rollout.journal import Made, Record
from serving.rollout.rule import RolloutRule
from serving.rollout.state import RolloutState
from serving.rollout.window import ArmSeen, Mean, Seen, Shares, Window

STATE = RolloutState(
    rollout="likes@8-1", version="likes@8", phase="canary", stage=1, weight=0.05, since=1000.0,
    looked=5000.0, reason="canary: 5 % of users; not yet enough exposure",
)  # fmt: skip
WINDOW = Window(
    time=5000.0,
    weight=0.05,
    canary=ArmSeen(users=210, decisions=1_900, silent_seconds=2.0,
                   mean=Mean(value=3.4, low=3.1, high=3.7, users=210)),
    control=ArmSeen(users=4_020, decisions=37_000, silent_seconds=400.0,
                    mean=Mean(value=3.19, low=3.1, high=3.28, users=4_020)),
    rollout={
        "reward": Seen(value=0.21, low=-0.05, high=0.47, se=0.07, canary=3.4, control=3.19,
                       users=4_230, level=0.95),
        "decisions": Seen(value=-0.9, low=-1.6, high=-0.2, se=0.2, canary=8.1, control=9.0,
                          users=4_230, level=0.95),
    },
    hard=Shares(decisions=1_900, mean_weight_low=0.93, mean_weight_high=1.06),
    sample_ratio_p=0.61,
    multiple_exposure=0.0,
)  # fmt: skip
MADE = Made(rollout=STATE.rollout, nth=7, time=5000.0, by="controller", state=STATE, revision=9,
            reason=STATE.reason, window=WINDOW)  # fmt: skip
RECORD = Record(
    rollout=STATE.rollout, rule=RolloutRule(), window=600.0, windows={}, reward={"liked": 1.0},
    live="likes@7", salt="salt", read={}, by="anna", state=STATE, steps=7, revision=9,
)  # fmt: skip
