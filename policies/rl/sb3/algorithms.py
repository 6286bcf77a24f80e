"""The differences between Stable-Baselines3's algorithms: actions, model, and how slates are made.

Actor-critics draw slates themselves (actor_critic.py). DQN and QR-DQN choose a candidate, SAC and
TD3 a vector, and the slate is what lies nearest (single_action.py).
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

from policies.observation import Serving
from policies.rl.sb3.actor_critic import SlateActorCritic
from policies.rl.sb3.configs import (
    A2CConfig,
    AgentConfig,
    DQNConfig,
    PPOConfig,
    QRDQNConfig,
    ReplayConfig,
    TD3Config,
)
from policies.rl.sb3.extractors import StateExtractor
from policies.rl.sb3.single_action import (
    TiedDQN,
    near_item,
    near_vector,
    slate_of,
    unit_vectors,
    values,
)
from policies.rl.sb3.vec_env import slate_space

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
PROTO_SIZE = 8  # numbers of a proto-item


class Sizes(NamedTuple):
    """What a model is built on."""

    serving: Serving
    state_size: int  # D
    items: F32  # (A, Di)
    encoder_scores: F32  # (De,) weights of the skip connection, see actor_critic.py
    trail: int = 0  # item ids that lead the state
    encoder: Any = None  # that the agent stands on
    prior: int = 0  # columns of a prior's logits

    @property
    def protos(self) -> F32:
        """(A, P): the items as unit vectors, among which proto-items lie."""
        return unit_vectors(self.items, PROTO_SIZE)


class Algorithm(NamedTuple):
    """One algorithm. `decode` turns its actions into slates; None: they are slates."""

    config: type[AgentConfig]
    space: Callable[[Sizes], spaces.Space[Any]]
    build: Callable[[Any, VecEnv, Sizes, object], BaseAlgorithm]
    scores: Callable[[Any, Sizes, torch.Tensor], F64]  # (B, D + C) -> (B, C)
    decode: Callable[[Sizes, NDArray[Any], I32 | None], I32] | None = None


def _slates(sizes: Sizes) -> spaces.Space[Any]:
    return slate_space(sizes.serving)


def _columns(sizes: Sizes) -> spaces.Space[Any]:
    return spaces.Discrete(sizes.serving.columns)


def _vectors(sizes: Sizes) -> spaces.Space[Any]:
    return spaces.Box(-1.0, 1.0, (sizes.protos.shape[1],), np.float32)


def _ppo(c: PPOConfig, env: VecEnv, sizes: Sizes, metadata: object) -> BaseAlgorithm:
    return PPO(SlateActorCritic, env, **_clipped(c, env, sizes, metadata))


def _maskable_ppo(c: PPOConfig, env: VecEnv, sizes: Sizes, metadata: object) -> BaseAlgorithm:
    contrib: Any = _contrib("maskable_ppo")
    kwargs = _clipped(c, env, sizes, metadata) | {"rollout_buffer_class": contrib.ColumnMasks}
    model: BaseAlgorithm = contrib.MaskablePPO(contrib.MaskedSlates, env, **kwargs)
    return model


def _contrib(name: str) -> Any:
    """The module of what needs the extra sb3-contrib."""
    try:
        from policies.rl.sb3 import contrib
    except ImportError as error:
        raise ImportError(f"{name} needs an extra: pip install 'longplay[contrib]'") from error
    return contrib


def _clipped(c: PPOConfig, env: VecEnv, sizes: Sizes, metadata: object) -> dict[str, Any]:
    n = c.n_steps * env.num_envs
    batch_size = largest_divisor(n, at_most=c.batch_size)
    if batch_size == 1:
        raise ValueError(
            f"n_steps = {c.n_steps} of {env.num_envs} users are {n} decisions, which no number "
            f"in 2..{c.batch_size} divides: change n_steps, or raise batch_size"
        )
    own = {"batch_size": batch_size, "n_epochs": c.n_epochs, "clip_range": c.clip_range}
    return _actor_critic(c, sizes, metadata) | own


def _a2c(c: A2CConfig, env: VecEnv, sizes: Sizes, metadata: object) -> BaseAlgorithm:
    own: dict[str, Any] = {"use_rms_prop": False, "normalize_advantage": True}
    return A2C(SlateActorCritic, env, **_actor_critic(c, sizes, metadata), **own)


def _actor_critic(c: A2CConfig, sizes: Sizes, metadata: object) -> dict[str, Any]:
    return {
        "gamma": c.gamma,
        "gae_lambda": c.gae_lambda,
        "n_steps": c.n_steps,
        "learning_rate": c.learning_rate,
        "ent_coef": c.entropy,
        "device": "cpu",
        "policy_kwargs": {
            "items": torch.from_numpy(sizes.items),
            "state_size": sizes.state_size,
            "places": sizes.serving.slate_size,
            "net_arch": [c.hidden, c.hidden],
            "encoder_scores": torch.from_numpy(sizes.encoder_scores),
            "item_at": sizes.serving.item_features.shape[1],
            "trail": sizes.trail,
            "end_to_end": c.end_to_end,
            "net": sizes.encoder._net if c.fine_tune else None,
            "fine_tune": c.fine_tune,
            "prior": sizes.prior,
            "metadata": metadata,
        },
    }


def _dqn(c: DQNConfig, env: VecEnv, sizes: Sizes, metadata: object) -> BaseAlgorithm:
    return DQN(TiedDQN, env, policy_kwargs=_tied(c, sizes, metadata), **_valued(c, env))


def _qrdqn(c: QRDQNConfig, env: VecEnv, sizes: Sizes, metadata: object) -> BaseAlgorithm:
    contrib: Any = _contrib("qrdqn")
    tied = _tied(c, sizes, metadata) | {"n_quantiles": c.quantiles}
    model: BaseAlgorithm = contrib.QRDQN(
        contrib.TiedQRDQN, env, policy_kwargs=tied, **_valued(c, env)
    )
    return model


def _tied(c: DQNConfig, sizes: Sizes, metadata: object) -> dict[str, Any]:
    return {
        "items": torch.from_numpy(sizes.items),
        "state_size": sizes.state_size,
        "hidden": c.hidden,
        "metadata": metadata,
    }


def _valued(c: DQNConfig, env: VecEnv) -> dict[str, Any]:
    return {
        **_replayed(c, env),
        "exploration_initial_eps": c.explore,
        "exploration_final_eps": c.explore,
        "target_update_interval": c.target_every * env.num_envs,
    }


def _replayed(c: ReplayConfig, env: VecEnv) -> dict[str, Any]:
    return {
        "gamma": c.gamma,
        "learning_rate": c.learning_rate,
        "batch_size": c.batch_size,
        "buffer_size": max(c.capacity, 2 * env.num_envs),
        "learning_starts": c.warm(env.num_envs),
        "train_freq": 1,
        "gradient_steps": c.updates,
        "device": "cpu",
    }


def _sac(c: ReplayConfig, env: VecEnv, sizes: Sizes, metadata: object) -> BaseAlgorithm:
    return SAC("MlpPolicy", env, policy_kwargs=_mlp(c, sizes), **_replayed(c, env))


def _td3(c: TD3Config, env: VecEnv, sizes: Sizes, metadata: object) -> BaseAlgorithm:
    size = sizes.protos.shape[1]
    noise = NormalActionNoise(np.zeros(size), np.full(size, c.noise))
    kwargs = _mlp(c, sizes)
    return TD3("MlpPolicy", env, action_noise=noise, policy_kwargs=kwargs, **_replayed(c, env))


def _mlp(c: ReplayConfig, sizes: Sizes) -> dict[str, Any]:
    return {
        "features_extractor_class": StateExtractor,
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
    "ppo": Algorithm(PPOConfig, _slates, _ppo, _drawn),
    "maskable_ppo": Algorithm(PPOConfig, _slates, _maskable_ppo, _drawn),
    "a2c": Algorithm(A2CConfig, _slates, _a2c, _drawn),
    "dqn": Algorithm(DQNConfig, _columns, _dqn, _best, decode=_around_item),
    "qrdqn": Algorithm(QRDQNConfig, _columns, _qrdqn, _best, decode=_around_item),
    "sac": Algorithm(ReplayConfig, _vectors, _sac, _near, decode=_around_vector),
    "td3": Algorithm(TD3Config, _vectors, _td3, _near, decode=_around_vector),
}
