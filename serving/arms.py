"""The arms of a rollout: users by a keyed hash, who keep their arm while the weight grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from policies.slates.row_streams import stream_keys
from policies.validation import SHARE
from serving.contracts.fields import text

F64 = NDArray[np.float64]
LIVE, CONTROL, CANARY = "live", "control", "canary"  # names of arms; `live` = there is no rollout


def arm_point(salt: str, user_key: str) -> float:
    """Where a user stands in [0, 1): below the canary's weight, the canary serves the user."""
    return float(arm_points(salt, [user_key])[0])


def arm_points(salt: str, user_keys: Sequence[str]) -> F64:
    """(B,) the same for several users: uniform, and independent between salts. Kohavi, Tang & Xu
    (2020, chapter 14: a hash of the user under a key of each experiment)."""
    heads = stream_keys(user_keys, secret=_key_of(salt))
    return (heads >> np.uint64(11)).astype(np.float64) * 2.0**-53


@lru_cache(64)
def _key_of(salt: str) -> bytes:
    return sha256(salt.encode()).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Which users get the canary of a rollout. Raises ValueError, which names the field.

    weight: their share. salt: of the hash; the same one for a whole rollout. rollout: its id.
    """

    weight: float
    salt: str
    rollout: str

    def __post_init__(self) -> None:
        check_weight(self.weight)
        text("salt", self.salt)
        text("rollout", self.rollout)
        text("rollout@weight", self.stratum)

    @property
    def stratum(self) -> str:
        """What the decisions of both arms carry: arms are compared where it is the same."""
        return f"{self.rollout}@{self.weight:g}"

    def canary(self, user_keys: Sequence[str]) -> NDArray[np.bool_]:
        """(B,) whom the canary serves."""
        return arm_points(self.salt, user_keys) < self.weight


def check_weight(weight: float) -> None:
    """Raise ValueError for what is no share of users."""
    SHARE.check("weight", weight)
