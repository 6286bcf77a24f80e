"""What differs between Stable-Baselines3's algorithms: their action, their model, their slates.

Actor-critics draw slates themselves (slate_head.py). DQN and QR-DQN choose a candidate, SAC and TD3
a vector, and the slate is what lies nearest (proto.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import VecEnv

from policies.base import Serving
from policies.rl.sb3.bridge import slate_space
from policies.rl.sb3.configs import (
    A2CConfig,
    AgentConfig,
    DQNConfig,
    PPOConfig,
    ProtoConfig,
    QRDQNConfig,
    ReplayConfig,
)
from policies.rl.sb3.proto import near_item, near_vector, slate_of, unit_vectors
from policies.rl.sb3.q_head import TiedDQN, values
from policies.rl.sb3.slate_head import Front, SlateActorCritic

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
PROTO_SIZE = 8  # numbers of a proto-item


class Sizes(NamedTuple):
    """What a model is built on."""

    serving: Serving
    state_size: int  # D
    items: F32  # (A, Di)
    relevance: F32  # (De,) of the frozen encoder, see relevance.py
    trail: int = 0  # of the state's numbers, item ids at its front
    encoder: Any = None  # that the agent stands on

    @property
    def protos(self) -> F32:
        """(A, P): items where proto-items live."""
        return unit_vectors(self.items, PROTO_SIZE)


class Algorithm(NamedTuple):
    """One algorithm. `decode` turns its actions into slates; None: they are slates."""

    config: type[AgentConfig]
    space: Callable[[Sizes], spaces.Space[Any]]
    build: Callable[[Any, VecEnv, Sizes, object], BaseAlgorithm]
    scores: Callable[[Any, Sizes, torch.Tensor], F64]  # (B, D + C) -> (B, C)
    draws: bool  # True: slates are drawn in proportion to scores; False: the best are shown
    decode: Callable[[Sizes, NDArray[Any], I32 | None], I32] | None = None


def _slates(sizes: Sizes) -> spaces.Space[Any]:
    return slate_space(sizes.serving)


def _columns(sizes: Sizes) -> spaces.Space[Any]:
    return spaces.Discrete(sizes.serving.columns)


def _vectors(sizes: Sizes) -> spaces.Space[Any]:
    return spaces.Box(-1.0, 1.0, (sizes.protos.shape[1],), np.float32)


def _head(c: Any, sizes: Sizes, about: object) -> dict[str, Any]:
    return {
        "items": torch.from_numpy(sizes.items),
        "state_size": sizes.state_size,
        "places": sizes.serving.slate_size,
        "net_arch": [c.hidden, c.hidden],
        "relevance": torch.from_numpy(sizes.relevance),
        "item_at": sizes.serving.item_features.shape[1],
        "trail": sizes.trail,
        "tracker": c.tracker,
        "tuned": sizes.encoder._net if c.tune else None,
        "tune": c.tune,
        "about": about,
    }


def _ppo(c: PPOConfig, bridge: VecEnv, sizes: Sizes, about: object) -> BaseAlgorithm:
    return PPO(SlateActorCritic, bridge, **_clipped(c, bridge, sizes, about))


def _maskable_ppo(c: PPOConfig, bridge: VecEnv, sizes: Sizes, about: object) -> BaseAlgorithm:
    try:
        from sb3_contrib import MaskablePPO
    except ImportError as error:
        raise ImportError("maskable_ppo needs an extra: pip install 'longplay[contrib]'") from error
    from policies.rl.sb3.masked import ColumnMasks, MaskedSlates

    kwargs = _clipped(c, bridge, sizes, about)
    policy: Any = MaskedSlates
    return MaskablePPO(policy, bridge, rollout_buffer_class=ColumnMasks, **kwargs)


def _clipped(c: PPOConfig, bridge: VecEnv, sizes: Sizes, about: object) -> dict[str, Any]:
    n = c.n_steps * bridge.num_envs
    batch_size = largest_divisor(n, at_most=c.batch_size)
    if batch_size == 1:
        raise ValueError(
            f"n_steps = {c.n_steps} of {bridge.num_envs} users are {n} decisions, which no number "
            f"in 2..{c.batch_size} divides: change n_steps, or raise batch_size"
        )
    return {
        "gamma": c.gamma,
        "gae_lambda": c.gae_lambda,
        "n_steps": c.n_steps,
        "batch_size": batch_size,
        "n_epochs": c.n_epochs,
        "learning_rate": c.learning_rate,
        "clip_range": c.clip_range,
        "ent_coef": c.entropy,
        "device": "cpu",
        "policy_kwargs": _head(c, sizes, about),
    }


def _a2c(c: A2CConfig, bridge: VecEnv, sizes: Sizes, about: object) -> BaseAlgorithm:
    return A2C(
        SlateActorCritic,
        bridge,
        gamma=c.gamma,
        gae_lambda=c.gae_lambda,
        n_steps=c.n_steps,
        learning_rate=c.learning_rate,
        ent_coef=c.entropy,
        use_rms_prop=False,
        normalize_advantage=True,
        device="cpu",
        policy_kwargs=_head(c, sizes, about),
    )


def _valued(c: DQNConfig, bridge: VecEnv) -> dict[str, Any]:
    return {
        **_replayed(c, bridge),
        "exploration_initial_eps": c.explore,
        "exploration_final_eps": c.explore,
        "target_update_interval": c.target_every * bridge.num_envs,
    }


def _replayed(c: ReplayConfig, bridge: VecEnv) -> dict[str, Any]:
    return {
        "gamma": c.gamma,
        "learning_rate": c.learning_rate,
        "batch_size": c.batch_size,
        "buffer_size": max(c.capacity, 2 * bridge.num_envs),
        "learning_starts": c.warm(bridge.num_envs),
        "train_freq": 1,
        "gradient_steps": c.updates,
        "device": "cpu",
    }


def _dqn(c: DQNConfig, bridge: VecEnv, sizes: Sizes, about: object) -> BaseAlgorithm:
    return DQN(TiedDQN, bridge, policy_kwargs=_tied(c, sizes, about), **_valued(c, bridge))


def _qrdqn(c: QRDQNConfig, bridge: VecEnv, sizes: Sizes, about: object) -> BaseAlgorithm:
    try:
        from sb3_contrib import QRDQN
    except ImportError as error:
        raise ImportError("qrdqn needs an extra: pip install 'longplay[contrib]'") from error
    from policies.rl.sb3.quantile_head import TiedQRDQN

    tied = _tied(c, sizes, about) | {"n_quantiles": c.quantiles}
    return QRDQN(TiedQRDQN, bridge, policy_kwargs=tied, **_valued(c, bridge))


def _tied(c: DQNConfig, sizes: Sizes, about: object) -> dict[str, Any]:
    return {
        "items": torch.from_numpy(sizes.items),
        "state_size": sizes.state_size,
        "hidden": c.hidden,
        "about": about,
    }


def _sac(c: ProtoConfig, bridge: VecEnv, sizes: Sizes, about: object) -> BaseAlgorithm:
    return SAC("MlpPolicy", bridge, policy_kwargs=_front(c, sizes), **_replayed(c, bridge))


def _td3(c: ProtoConfig, bridge: VecEnv, sizes: Sizes, about: object) -> BaseAlgorithm:
    size = sizes.protos.shape[1]
    noise = NormalActionNoise(np.zeros(size), np.full(size, c.noise))
    kwargs = _front(c, sizes)
    return TD3(
        "MlpPolicy", bridge, action_noise=noise, policy_kwargs=kwargs, **_replayed(c, bridge)
    )


def _front(c: ProtoConfig, sizes: Sizes) -> dict[str, Any]:
    return {
        "features_extractor_class": Front,
        "features_extractor_kwargs": {"features_dim": sizes.state_size},
        "net_arch": [c.hidden, c.hidden],
    }


def _drawn(policy: Any, sizes: Sizes, rows: torch.Tensor) -> F64:
    logits: F64 = policy.get_distribution(rows).logits.double().numpy()
    return logits


def _best(policy: Any, sizes: Sizes, rows: torch.Tensor) -> F64:
    column = values(policy, rows).argmax(dim=1).numpy()
    return near_item(sizes.protos, column, _ids(sizes, rows))


def _near(policy: Any, sizes: Sizes, rows: torch.Tensor) -> F64:
    proto = policy._predict(rows, deterministic=True).numpy()
    return near_vector(sizes.protos, proto, _ids(sizes, rows))


def _ids(sizes: Sizes, rows: torch.Tensor) -> I32 | None:
    ids = rows[:, sizes.state_size :].numpy().astype(np.int32)
    return ids if ids.shape[1] else None


def _around_item(sizes: Sizes, action: NDArray[Any], ids: I32 | None) -> I32:
    column = np.asarray(action, np.int64).reshape(-1)
    return slate_of(near_item(sizes.protos, column, ids), sizes.serving.slate_size)


def _around_vector(sizes: Sizes, action: NDArray[Any], ids: I32 | None) -> I32:
    scores = near_vector(sizes.protos, np.asarray(action, np.float32), ids)
    return slate_of(scores, sizes.serving.slate_size)


def largest_divisor(n: int, *, at_most: int) -> int:
    """So that minibatches are of one size."""
    return next(d for d in range(min(n, at_most), 0, -1) if n % d == 0)


ALGORITHMS: dict[str, Algorithm] = {
    "ppo": Algorithm(PPOConfig, _slates, _ppo, _drawn, draws=True),
    "maskable_ppo": Algorithm(PPOConfig, _slates, _maskable_ppo, _drawn, draws=True),
    "a2c": Algorithm(A2CConfig, _slates, _a2c, _drawn, draws=True),
    "dqn": Algorithm(DQNConfig, _columns, _dqn, _best, draws=False, decode=_around_item),
    "qrdqn": Algorithm(QRDQNConfig, _columns, _qrdqn, _best, draws=False, decode=_around_item),
    "sac": Algorithm(ProtoConfig, _vectors, _sac, _near, draws=False, decode=_around_vector),
    "td3": Algorithm(ProtoConfig, _vectors, _td3, _near, draws=False, decode=_around_vector),
}
