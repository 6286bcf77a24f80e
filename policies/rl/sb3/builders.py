"""PPO, MaskablePPO, A2C, DQN, QR-DQN, SAC and TD3 of Stable-Baselines3: their builders."""

from __future__ import annotations

from pathlib import Path

from stable_baselines3.common.save_util import load_from_zip_file

from policies.base import Policy
from policies.configured import configured
from policies.encoders.base import Encoder
from policies.encoders.models.neural import NeuralEncoder
from policies.features import LIVE_CLIP, same_catalogue, state_features
from policies.observation import Serving, check_same_world
from policies.rl.sb3.agent import Metadata, SB3Agent
from policies.rl.sb3.algorithms import ALGORITHMS
from policies.rl.sb3.configs import (
    A2CConfig,
    AgentConfig,
    DQNConfig,
    PPOConfig,
    QRDQNConfig,
    ReplayConfig,
    TD3Config,
)
from policies.rl.sb3.model_state import COUNTERS
from policies.rl.sb3.prior import Prior

RENAMED = {"tracker": "end_to_end", "tune": "fine_tune"}


@configured(PPOConfig, **RENAMED)
def ppo(
    serving: Serving, config: PPOConfig, encoder: Encoder | None, prior: Policy | None
) -> SB3Agent:
    """PPO over slates; call `learn(env, total_steps=, seed=)`. Starts as the `prior`, a policy
    that makes its slates by scores."""
    return _actor_critic("ppo", serving, config, encoder, prior)


@configured(PPOConfig)
def maskable_ppo(
    serving: Serving, config: PPOConfig, encoder: Encoder | None, prior: Policy | None
) -> SB3Agent:
    """PPO under the mask of what may not be shown; call `learn(env, total_steps=, seed=)`.

    The choice for whole catalogues whose items come and go: there PPO draws what is not available.
    """
    return _actor_critic("maskable_ppo", serving, config, encoder, prior)


@configured(A2CConfig)
def a2c(
    serving: Serving, config: A2CConfig, encoder: Encoder | None, prior: Policy | None
) -> SB3Agent:
    """A2C over slates; call `learn(env, total_steps=, seed=)`."""
    return _actor_critic("a2c", serving, config, encoder, prior)


@configured(DQNConfig)
def dqn(serving: Serving, config: DQNConfig, encoder: Encoder | None) -> SB3Agent:
    """DQN whose action leads the slate; call `learn(env, total_steps=, seed=)`."""
    return _agent("dqn", serving, config, encoder)


@configured(QRDQNConfig)
def qrdqn(serving: Serving, config: QRDQNConfig, encoder: Encoder | None) -> SB3Agent:
    """QR-DQN whose action leads the slate; call `learn(env, total_steps=, seed=)`."""
    return _agent("qrdqn", serving, config, encoder)


@configured(ReplayConfig)
def sac(serving: Serving, config: ReplayConfig, encoder: Encoder | None) -> SB3Agent:
    """SAC whose action is a vector among the items; call `learn(env, total_steps=, seed=)`."""
    return _agent("sac", serving, config, encoder)


@configured(TD3Config)
def td3(serving: Serving, config: TD3Config, encoder: Encoder | None) -> SB3Agent:
    """TD3 whose action is a vector among the items; call `learn(env, total_steps=, seed=)`."""
    return _agent("td3", serving, config, encoder)


def _agent(name: str, serving: Serving, config: AgentConfig, encoder: Encoder | None) -> SB3Agent:
    """An agent that has not learnt yet."""
    state = state_features(serving, encoder, windows=config.windows, clip=LIVE_CLIP)
    return SB3Agent(name, config, state, encoder)


def _actor_critic(
    name: str, serving: Serving, config: A2CConfig, encoder: Encoder | None, prior: Policy | None
) -> SB3Agent:
    """An agent that has not learnt yet, its encoder frozen, fine-tuned or learnt end to end."""
    if prior is not None:
        check_same_world(prior.serving, serving, "the prior")
    trail = serving.history_length if config.end_to_end else 0
    frozen = encoder
    if config.fine_tune:
        if config.end_to_end or not isinstance(encoder, NeuralEncoder):
            raise ValueError(
                "fine_tune needs encoder= to be a network, as gru4rec is, and no end_to_end="
            )
        same_catalogue(serving, encoder)
        trail = min(serving.history_length, encoder.context_length)
        frozen = None  # an encoder that learns reads the trail itself
    state = state_features(serving, frozen, windows=config.windows, clip=LIVE_CLIP, trail=trail)
    agent = SB3Agent(name, config, state, encoder)
    agent.prior = None if prior is None else Prior(prior)
    return agent


def is_longplay(file: str | Path) -> bool:
    """Whether an agent of Longplay wrote the zip. Reading it runs what is pickled in it."""
    data, _, _ = load_from_zip_file(str(file), device="cpu")
    return {"about", "metadata"} & set((data or {}).get("policy_kwargs", {})) != set()


def from_zip(file: str | Path) -> SB3Agent:
    """The agent whose `model.save(file)` wrote the zip. Reading it runs what is pickled in it."""
    data, parameters, _ = load_from_zip_file(str(file), device="cpu")
    kwargs = (data or {}).get("policy_kwargs", {})
    metadata = kwargs.get("metadata")
    if "about" in kwargs:
        raise ValueError(
            f"{file} was written by an older Longplay, whose settings have other names now: load "
            "it there and keep it with policies.save"
        )
    if data is None or not isinstance(metadata, Metadata):
        raise ValueError(
            f"{file} was not trained by a Longplay agent that keeps its features in the zip: "
            "train ppo, a2c, dqn or qrdqn through policies.build, or use policies.save. A stock "
            "agent needs the sizes that it serves: load it with serving=serving_of(env)."
        )
    config = ALGORITHMS[metadata.name].config(**metadata.config)
    agent = SB3Agent(metadata.name, config, metadata.state, metadata.encoder, metadata.reward_scale)
    agent.prior = metadata.prior
    agent.items = kwargs["items"].numpy()
    if "encoder_scores" in kwargs:
        agent.encoder_scores = kwargs["encoder_scores"].numpy()
    agent.model = agent.new_model(agent.placeholder_env(data["n_envs"]))
    agent.model.set_parameters(parameters, device="cpu")
    for count in COUNTERS:
        if count in data:
            setattr(agent.model, count, data[count])
    return agent
