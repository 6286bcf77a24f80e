"""PPO, MaskablePPO, A2C, DQN, QR-DQN, SAC and TD3 of Stable-Baselines3: their builders."""

from __future__ import annotations

from pathlib import Path

from stable_baselines3.common.save_util import load_from_zip_file

from policies.base import Serving
from policies.encoders.base import Encoder
from policies.encoders.models.neural import NeuralEncoder
from policies.features import LIVE_CLIP, same_catalogue, state_features
from policies.rl.sb3.agent import About, SB3Agent
from policies.rl.sb3.algorithms import ALGORITHMS
from policies.rl.sb3.configs import (
    A2CConfig,
    AgentConfig,
    DQNConfig,
    PPOConfig,
    ProtoConfig,
    QRDQNConfig,
)
from policies.rl.sb3.model_state import COUNTERS


def from_zip(file: str | Path) -> SB3Agent:
    """The agent whose `model.save(file)` wrote the zip. Reading it runs what is pickled in it."""
    data, parameters, _ = load_from_zip_file(str(file), device="cpu")
    kwargs = (data or {}).get("policy_kwargs", {})
    about = kwargs.get("about")
    if data is None or not isinstance(about, About):
        raise ValueError(
            f"{file} was not trained by a Longplay agent that keeps its state's making in the zip: "
            "train ppo, a2c, dqn or qrdqn through policies.build, or use policies.save."
        )
    if not isinstance(about.config, dict):
        raise ValueError(
            f"{file} was written by an older Longplay, whose settings cannot be told apart now: "
            "load it there and keep it with policies.save"
        )
    config = ALGORITHMS[about.name].config(**about.config)
    agent = SB3Agent(about.name, config, about.state, about.encoder, about.reward_scale)
    agent.items = kwargs["items"].numpy()
    if "relevance" in kwargs:
        agent.relevance = kwargs["relevance"].numpy()
    agent.model = agent.new_model(agent.placeholder_env(data["n_envs"]))
    agent.model.set_parameters(parameters, device="cpu")
    for count in COUNTERS:
        if count in data:
            setattr(agent.model, count, data[count])
    return agent


def _agent(
    name: str,
    serving: Serving,
    encoder: Encoder | None,
    config: AgentConfig,
    *,
    windows: tuple[int, ...] = (),
) -> SB3Agent:
    """An agent that has not learnt yet: call `learn(env, total_steps=, seed=)`."""
    state = state_features(serving, encoder, windows=windows, clip=LIVE_CLIP)
    return SB3Agent(name, config, state, encoder)


def ppo(
    serving: Serving,
    *,
    encoder: Encoder | None = None,
    windows: tuple[int, ...] = (),
    tracker: int = 0,
    tune: float = 0.0,
    gamma: float = 0.99,
    gae_lambda: float = 0.95,
    learning_rate: float = 1e-3,
    decay_steps: int | None = None,
    n_steps: int = 32,
    batch_size: int = 2048,
    n_epochs: int = 4,
    entropy: float = 0.003,
    hidden: int = 64,
    epsilon: float = 0.0,
    seed: int = 0,
) -> SB3Agent:
    """PPO over slates; call `learn(env, total_steps=, seed=)`.

    encoder: its state is part of the agent's, and its scores of the candidates are added to the
    actor's through a learned gate. windows: means of the last so many items' vectors in the state.
    tracker: size of a recurrent encoder that learns with the agent from its reward, in the place
    of, or beside, `encoder`. tune: share of the learning rate at which `encoder`, a network, goes
    on learning; 0 = it is frozen.
    """
    config = PPOConfig(
        gamma=gamma,
        gae_lambda=gae_lambda,
        learning_rate=learning_rate,
        decay_steps=decay_steps,
        n_steps=n_steps,
        batch_size=batch_size,
        n_epochs=n_epochs,
        entropy=entropy,
        hidden=hidden,
        tracker=tracker,
        tune=tune,
        epsilon=epsilon,
        seed=seed,
    )
    trail = serving.history_length if tracker else 0
    if tune:
        if tracker or not isinstance(encoder, NeuralEncoder):
            raise ValueError("tune needs encoder= to be a network, as gru4rec is, and no tracker=")
        same_catalogue(serving, encoder)
        trail = min(serving.history_length, encoder.context_length)
    below = None if tune else encoder  # a tuned encoder reads the trail itself
    state = state_features(serving, below, windows=windows, clip=LIVE_CLIP, trail=trail)
    return SB3Agent("ppo", config, state, encoder)


def maskable_ppo(
    serving: Serving,
    *,
    encoder: Encoder | None = None,
    windows: tuple[int, ...] = (),
    gamma: float = 0.99,
    learning_rate: float = 1e-3,
    decay_steps: int | None = None,
    n_steps: int = 32,
    batch_size: int = 2048,
    n_epochs: int = 4,
    entropy: float = 0.003,
    hidden: int = 64,
    epsilon: float = 0.0,
    seed: int = 0,
) -> SB3Agent:
    """PPO that is told what may not be shown; call `learn(env, total_steps=, seed=)`.

    The choice for whole catalogues whose items come and go: there PPO draws what is not available.
    """
    config = PPOConfig(
        gamma=gamma,
        learning_rate=learning_rate,
        decay_steps=decay_steps,
        n_steps=n_steps,
        batch_size=batch_size,
        n_epochs=n_epochs,
        entropy=entropy,
        hidden=hidden,
        epsilon=epsilon,
        seed=seed,
    )
    return _agent("maskable_ppo", serving, encoder, config, windows=windows)


def a2c(
    serving: Serving,
    *,
    encoder: Encoder | None = None,
    gamma: float = 0.99,
    learning_rate: float = 1e-3,
    entropy: float = 0.003,
    hidden: int = 64,
    epsilon: float = 0.0,
    seed: int = 0,
) -> SB3Agent:
    """A2C over slates; call `learn(env, total_steps=, seed=)`."""
    config = A2CConfig(
        gamma=gamma,
        learning_rate=learning_rate,
        entropy=entropy,
        hidden=hidden,
        epsilon=epsilon,
        seed=seed,
    )
    return _agent("a2c", serving, encoder, config)


def dqn(
    serving: Serving,
    *,
    encoder: Encoder | None = None,
    gamma: float = 0.99,
    learning_rate: float = 1e-3,
    explore: float = 0.1,
    updates: int = 1,
    hidden: int = 64,
    epsilon: float = 0.0,
    seed: int = 0,
) -> SB3Agent:
    """DQN whose action leads the slate; call `learn(env, total_steps=, seed=)`."""
    config = DQNConfig(
        gamma=gamma,
        learning_rate=learning_rate,
        explore=explore,
        updates=updates,
        hidden=hidden,
        epsilon=epsilon,
        seed=seed,
    )
    return _agent("dqn", serving, encoder, config)


def qrdqn(
    serving: Serving,
    *,
    encoder: Encoder | None = None,
    gamma: float = 0.99,
    learning_rate: float = 1e-3,
    explore: float = 0.1,
    updates: int = 1,
    quantiles: int = 20,
    hidden: int = 64,
    epsilon: float = 0.0,
    seed: int = 0,
) -> SB3Agent:
    """QR-DQN whose action leads the slate; call `learn(env, total_steps=, seed=)`."""
    config = QRDQNConfig(
        gamma=gamma,
        learning_rate=learning_rate,
        explore=explore,
        updates=updates,
        quantiles=quantiles,
        hidden=hidden,
        epsilon=epsilon,
        seed=seed,
    )
    return _agent("qrdqn", serving, encoder, config)


def sac(
    serving: Serving,
    *,
    encoder: Encoder | None = None,
    gamma: float = 0.99,
    learning_rate: float = 1e-3,
    updates: int = 1,
    hidden: int = 64,
    epsilon: float = 0.0,
    seed: int = 0,
) -> SB3Agent:
    """SAC whose action is a vector among the items; call `learn(env, total_steps=, seed=)`."""
    config = ProtoConfig(
        gamma=gamma,
        learning_rate=learning_rate,
        updates=updates,
        hidden=hidden,
        epsilon=epsilon,
        seed=seed,
    )
    return _agent("sac", serving, encoder, config)


def td3(
    serving: Serving,
    *,
    encoder: Encoder | None = None,
    gamma: float = 0.99,
    learning_rate: float = 1e-3,
    updates: int = 1,
    noise: float = 0.2,
    hidden: int = 64,
    epsilon: float = 0.0,
    seed: int = 0,
) -> SB3Agent:
    """TD3 whose action is a vector among the items; call `learn(env, total_steps=, seed=)`."""
    config = ProtoConfig(
        gamma=gamma,
        learning_rate=learning_rate,
        updates=updates,
        noise=noise,
        hidden=hidden,
        epsilon=epsilon,
        seed=seed,
    )
    return _agent("td3", serving, encoder, config)
