"""The state that bandits and RL act on: the frozen encoder's, and what the session showed so far."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.base import Observation, Serving
from policies.encoders.base import Encoder

F32 = NDArray[np.float32]

CLIP = 5.0  # standard deviations; a feature far outside what was logged must not run away


@dataclass(frozen=True, slots=True, eq=False)
class StateFeatures:
    """Observation -> standardised state (B, D)."""

    serving: Serving
    encoder: Encoder | None  # frozen; None = no encoder state
    centre: F32  # (D,)
    scale: F32  # (D,)

    @property
    def size(self) -> int:
        return len(self.centre)

    def __call__(self, obs: Observation) -> F32:
        z = (_raw(self.encoder, obs) - self.centre) / self.scale
        return np.clip(z, -CLIP, CLIP).astype(np.float32)

    def fitted(self, obs: Observation) -> StateFeatures:
        """The same features, standardised to these observations."""
        raw = _raw(self.encoder, obs)
        spread = raw.std(axis=0)
        scale = np.where(spread > 1e-6, spread, 1.0).astype(np.float32)
        return StateFeatures(self.serving, self.encoder, raw.mean(axis=0), scale)


def state_features(serving: Serving, encoder: Encoder | None) -> StateFeatures:
    """Features that are not standardised yet."""
    size = 0 if encoder is None else encoder.state_size
    size += serving.user_size + len(serving.response_names) + 1
    return StateFeatures(serving, encoder, np.zeros(size, np.float32), np.ones(size, np.float32))


def item_table(serving: Serving, encoder: Encoder | None) -> F32:
    """Standardised item vectors (A, D): what the environment shows of an item, and the encoder's."""
    parts = [serving.item_features]
    if encoder is not None:
        parts.append(encoder.item_vectors)
    table = np.concatenate(parts, axis=1)
    spread = table.std(axis=0)
    return ((table - table.mean(axis=0)) / np.where(spread > 1e-6, spread, 1.0)).astype(np.float32)


def _raw(encoder: Encoder | None, obs: Observation) -> F32:
    """[encoder state | user | mean response of the history | filled share of the history]."""
    filled = obs.history_items >= 0
    count = filled.sum(axis=1, keepdims=True)
    mean = obs.history_responses.sum(axis=1) / np.maximum(count, 1)
    parts = [obs.user, mean, count / filled.shape[1]]
    if encoder is not None:
        parts.insert(0, encoder.encode(obs.history_items))
    return np.concatenate(parts, axis=1, dtype=np.float32)
