"""The state that bandits and RL act on: the frozen encoder's and what the session showed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from policies.encoders.base import Encoder
from policies.moments import Moments
from policies.observation import Observation, Serving, require
from policies.saved import Saved, prefixed, under

if TYPE_CHECKING:
    from torch import nn

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

CLIP = 5.0  # standard deviations; a feature far outside what was logged must not run away
LIVE_CLIP = 20.0  # the same where the policy learns in a world, and leads users far from the log
CONSTANT = 1e-6  # of a number: a spread below it is rounding in single precision


class Rescaling(NamedTuple):
    """What inputs x in an old scale are of those z in a new one: x = slope z + offset."""

    slope: F64  # (D,)
    offset: F64  # (D,)

    @classmethod
    def of(cls, old: Moments, new: Moments, *, most: float) -> Rescaling:
        """Between numbers in units of what was seen until one log, and until a later one.

        What never varied, or less than a `most`-th of what it does now, keeps its weight: inputs
        are cut at `most`, so that a network has learnt nothing of such differences.
        """
        known = old.spread() > CONSTANT * np.abs(old.mean)
        slope = scale_of(new) / scale_of(old)
        slope = np.where(known & (slope <= most), slope, 1.0)
        return cls(slope, slope * (new.mean - old.mean) / scale_of(new))

    def into(self, layer: nn.Linear) -> None:
        """Make a layer give for z what it gave for x."""
        import torch

        slope, offset = (torch.from_numpy(part).to(layer.weight) for part in self)
        with torch.no_grad():
            layer.bias.add_(layer.weight @ offset)
            layer.weight.mul_(slope)


def scale_of(seen: Moments) -> F64:
    """(D,) spreads to divide by; 1 for what does not vary."""
    spread = seen.spread()
    return np.where(spread > CONSTANT * np.abs(seen.mean), spread, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class StateFeatures:
    """Observation -> standardised state (B, D)."""

    serving: Serving
    encoder: Encoder | None  # frozen; None = no encoder state
    centre: F32  # (D,)
    scale: F32  # (D,)
    windows: tuple[int, ...] = ()  # means of the last so many items' vectors join the state
    clip: float = CLIP
    trail: int = 0  # ids of the last so many items lead the state as they are, -1 = none
    seen: Moments | None = None  # of the raw state in the logs so far

    @property
    def size(self) -> int:
        """D, with the trail."""
        return self.trail + len(self.centre)

    def __call__(self, obs: Observation, encoded: F32 | None = None) -> F32:
        """(B, D); `encoded` (B, De): the encoder's states, where they are known already."""
        z = (self.raw(obs, encoded) - self.centre) / self.scale
        state: F32 = np.clip(z, -self.clip, self.clip).astype(np.float32)
        if self.trail == 0:
            return state
        ids = obs.history_items[:, -self.trail :]
        return np.concatenate([ids, state], axis=1, dtype=np.float32)

    def fitted(self, obs: Observation, *, as_one: bool = False) -> StateFeatures:
        """The same features, standardised to these observations and all that they were before.

        as_one: the encoder's state has variance 1 in all, not 1 for each of its numbers. Networks
        that learn from reward drown in many numbers of which few matter.
        """
        now = Moments.of(self.raw(obs))
        seen = now if self.seen is None else self.seen.plus(now)
        scale = scale_of(seen)
        if self.encoder is not None:
            size = self.encoder.state_size
            scale[:size] = np.where(seen.spread()[:size] > CONSTANT, scale[:size], 1.0)
            scale[:size] *= size**0.5 if as_one else 1.0
        centre = seen.mean.astype(np.float32)
        return replace(self, centre=centre, scale=scale.astype(np.float32), seen=seen)

    def rescaled(self, new: StateFeatures) -> Rescaling:
        """What states in these scales are of states in newer ones."""
        assert self.seen is not None
        assert new.seen is not None
        return Rescaling.of(self.seen, new.seen, most=self.clip)

    def raw(self, obs: Observation, encoded: F32 | None = None) -> F32:
        """(B, D): [encoder state | windows | user | mean response | filled share of history]."""
        require(obs, "consumed", "responses", "context")
        if obs.history_responses.shape[2] != len(self.serving.response_names):
            raise ValueError(
                f"{obs.history_responses.shape[2]} responses of each item were observed and the "
                f"policy reads {', '.join(self.serving.response_names)}: log these, in this order"
            )
        filled = obs.history_items >= 0
        count = filled.sum(axis=1, keepdims=True)
        mean = obs.history_responses.sum(axis=1) / np.maximum(count, 1)
        parts = [obs.user, mean, count / max(filled.shape[1], 1)]
        parts[:0] = [window_mean(self.serving, obs, n) for n in self.windows]
        if self.encoder is not None:
            known = self.encoder.encode(obs.history_items) if encoded is None else encoded
            parts.insert(0, known)
        return np.concatenate(parts, axis=1, dtype=np.float32)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """What is not the encoder, as a policy saves it; `features_of` takes it back."""
        return {
            "centre": self.centre,
            "scale": self.scale,
            "windows": np.array(self.windows, np.int32),
            "clip": np.array(self.clip),
            "trail": np.array(self.trail),
        } | ({} if self.seen is None else prefixed("seen.", self.seen.to_arrays()))


def state_features(
    serving: Serving,
    encoder: Encoder | None,
    *,
    windows: tuple[int, ...] = (),
    clip: float = CLIP,
    trail: int = 0,
) -> StateFeatures:
    """Features that are not standardised yet.

    Raises ValueError for a window or a trail longer than the history, and for an encoder of another
    catalogue.
    """
    same_catalogue(serving, encoder)
    if not 0 <= trail <= serving.history_length:
        raise ValueError(f"trail = {trail} must lie in 0..{serving.history_length}, the history")
    if any(not 1 <= n <= serving.history_length for n in windows):
        raise ValueError(f"windows {windows} must lie in 1..{serving.history_length}, the history")
    size = 0 if encoder is None else encoder.state_size
    size += serving.user_size + len(serving.response_names) + 1
    size += len(windows) * serving.item_features.shape[1]
    centre, scale = np.zeros(size, np.float32), np.ones(size, np.float32)
    return StateFeatures(serving, encoder, centre, scale, windows, clip, trail)


def same_catalogue(serving: Serving, encoder: Encoder | None) -> None:
    """Raise ValueError for an encoder of another number of items than are served."""
    if encoder is not None and encoder.n_items != serving.n_items:
        raise ValueError(
            f"the encoder knows {encoder.n_items} items and the environment {serving.n_items}: "
            "fit the encoder on sequences of this catalogue"
        )


def window_mean(serving: Serving, obs: Observation, n: int) -> F32:
    """Sum of the last n consumed items' vectors over n, (B, F): an empty place counts as 0."""
    items = obs.history_items[:, -n:]
    vectors = serving.item_features[np.maximum(items, 0)] * (items >= 0)[..., None]  # (B, n, F)
    mean: F32 = vectors.sum(axis=1) / np.float32(n)
    return mean


def features_of(saved: Saved, serving: Serving) -> StateFeatures:
    """The features of a policy that saved `to_arrays` and its encoder.

    Raises ValueError for arrays that are not of these sizes, or not finite.
    """
    a = saved.arrays
    windows = tuple(int(n) for n in a["windows"])
    clip, trail = float(a["clip"]), int(a["trail"])
    seen = Moments(**kept) if (kept := under("seen.", a)) else None
    fresh = state_features(serving, saved.encoder, windows=windows, clip=clip, trail=trail)
    for name in ("centre", "scale"):
        wanted = getattr(fresh, name).shape
        if a[name].shape != wanted or not np.isfinite(a[name]).all():
            raise ValueError(f"{name} of shape {a[name].shape} must be {wanted} finite numbers")
    return replace(fresh, centre=a["centre"], scale=a["scale"], seen=seen)


def item_table(
    serving: Serving,
    encoder: Encoder | None,
    log: LoggedDataset | None = None,
    *,
    as_one: bool = False,
) -> F32:
    """Standardised item vectors (A, D): what the environment shows of an item, the encoder's vector
    (as_one: of variance 1 in all) and, with a log, what came of showing the item."""
    same_catalogue(serving, encoder)
    parts = [standardised(serving.item_features)]
    if encoder is not None:
        vectors = standardised(encoder.item_vectors, least=CONSTANT)
        parts.append(vectors / np.float32(vectors.shape[1] ** 0.5) if as_one else vectors)
    if log is not None:
        parts.append(standardised(item_statistics(log)))
    return np.concatenate(parts, axis=1, dtype=np.float32)


def standardised(table: F32, *, least: float = 0.0) -> F32:
    """Columns of mean 0 and variance 1, or 0 where a column is constant, or varies no more than by
    `least`."""
    seen = Moments.of(table)
    scale = np.where(seen.spread() > least, scale_of(seen), 1.0)
    columns: F32 = ((table - seen.mean) / scale).astype(np.float32)
    return columns


def item_statistics(log: LoggedDataset, *, prior: float = 5.0) -> F32:
    """(A, 1 + R): how often an item was taken when shown, and its mean responses when taken.

    Shrunk to the mean over all items by `prior` pseudo-observations; the click response, which is 1
    for every item taken, stays in as a constant.
    """
    if log.consumed is None or log.responses is None:
        return np.zeros((log.n_items, 0), np.float32)
    taken = log.consumed >= 0
    item, responses = log.consumed[taken], log.responses[taken]
    shown = np.bincount(log.slate[log.slate >= 0], minlength=log.n_items)
    count = np.bincount(item, minlength=log.n_items)
    rate = (count + prior * count.sum() / max(shown.sum(), 1)) / (shown + prior)
    sums = np.zeros((log.n_items, responses.shape[1]))
    np.add.at(sums, item, responses)
    mean = responses.mean(axis=0) if len(item) else np.zeros(responses.shape[1])
    means = (sums + prior * mean) / (count + prior)[:, None]
    return np.concatenate([rate[:, None], means], axis=1, dtype=np.float32)


def place_rewards(log: LoggedDataset) -> NDArray[np.float64]:
    """Reward of each place (N, K); without that column the consumed place gets the row's reward."""
    if log.position_reward is not None:
        return log.position_reward
    if log.consumed is None:
        raise ValueError(
            "the log has neither position_reward nor consumed: which place earned the reward is "
            "unknown, so items cannot learn from it"
        )
    reward: NDArray[np.float64] = np.where(
        log.slate == log.consumed[:, None], log.reward[:, None], 0.0
    )
    return reward
