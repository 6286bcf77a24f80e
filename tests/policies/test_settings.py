"""Settings that would teach nothing, or the wrong thing, are refused by name at once."""

from __future__ import annotations

import inspect
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policies import ENCODERS, POLICIES, build, load, save
from policies.encoders.base import Encoder
from policies.encoders.data.sequences import Sequences
from policies.features import item_table
from policies.rl.offline.decision_transformer import DecisionConfig
from policies.rl.offline.losses import BCConfig, CQLConfig
from policies.rl.sb3.configs import A2CConfig, DQNConfig, PPOConfig, QRDQNConfig, ReplayConfig
from policies.rl.slateq.net import SlateQConfig
from tests.factories import env_of, make_serving

SERVING = make_serving(
    20,
    history_length=4,
    n_candidates=6,
    item_features=np.eye(20, 3),
    user_size=2,
    response_names=("click", "quality"),
)
NOT_A_SHARE = (-0.5, 2, math.nan, "half")
NOT_ABOVE_0 = (0, -1.0, math.nan, math.inf)
BELOW_0 = (-1.0, math.nan, math.inf)
NOT_A_COUNT = (0, -1, 2.5, math.nan)
NOT_A_SIZE = (-1, 2.5, math.nan)

AGENT = {
    "epsilon": NOT_A_SHARE, "gamma": NOT_A_SHARE, "learning_rate": NOT_ABOVE_0,
    "hidden": NOT_A_COUNT, "seed": NOT_A_SIZE,
}  # fmt: skip
CLIPPED = AGENT | {
    "n_steps": NOT_A_COUNT, "batch_size": (*NOT_A_COUNT, 1), "n_epochs": NOT_A_COUNT,
    "entropy": BELOW_0, "decay_steps": (0, math.nan), "burn_in": NOT_A_SIZE,
    "sharpness": NOT_ABOVE_0, "temperature": NOT_ABOVE_0,
}  # fmt: skip
VALUED = AGENT | {"updates": NOT_A_COUNT, "explore": NOT_A_SHARE}
LOGGED = {
    "epsilon": (-0.5, 2, math.nan), "epochs": NOT_A_COUNT, "hidden": NOT_A_COUNT,
    "seed": NOT_A_SIZE,
}  # fmt: skip
LINEAR = {"ridge": NOT_ABOVE_0, "rank": NOT_A_COUNT, "epsilon": (-0.5, 2, math.nan)}
DRAWN = {"width": BELOW_0, "draws": NOT_A_COUNT, "epsilon": NOT_A_SHARE, "ridge": NOT_ABOVE_0}
REWARDS = {"epochs": NOT_A_COUNT, "hidden": NOT_A_COUNT}

OF_BUILDERS: dict[str, dict[str, tuple[Any, ...]]] = {
    "ppo": CLIPPED | {"gae_lambda": NOT_A_SHARE, "end_to_end": NOT_A_SIZE, "fine_tune": BELOW_0},
    "maskable_ppo": CLIPPED,
    "a2c": AGENT | {"entropy": BELOW_0},
    "dqn": VALUED,
    "qrdqn": VALUED | {"quantiles": NOT_A_COUNT},
    "sac": AGENT | {"updates": NOT_A_COUNT},
    "td3": AGENT | {"updates": NOT_A_COUNT, "noise": BELOW_0},
    "slateq": AGENT | {
        "decay_steps": (0, math.nan), "batch_size": NOT_A_COUNT, "item_size": NOT_A_SIZE,
        "warm": (*NOT_A_SIZE, 100_001),
    },
    "bc": LOGGED,
    "reinforce": LOGGED | {"gamma": NOT_A_SHARE, "cap": NOT_ABOVE_0, "entropy": BELOW_0},
    "cql": LOGGED | {"gamma": NOT_A_SHARE, "strength": BELOW_0},
    "snqn": LOGGED | {"gamma": NOT_A_SHARE},
    "decision_transformer": {
        "quantile": (0, 1, math.nan), "gamma": NOT_A_SHARE, "dim": (0, 3, math.nan),
        "blocks": NOT_A_COUNT, "epochs": NOT_A_COUNT, "learning_rate": NOT_ABOVE_0,
        "seed": NOT_A_SIZE,
    },
    "one_step": {"epsilon": NOT_A_SHARE},
    "fitted_q": {"sweeps": NOT_A_COUNT, "states": NOT_A_COUNT, "epsilon": NOT_A_SHARE},
    "linucb": LINEAR | {"alpha": BELOW_0},
    "cascade_linucb": LINEAR | {"width": BELOW_0},
    "lints": DRAWN | {"rank": NOT_A_COUNT},
    "neural_linear": DRAWN | REWARDS | {"memory": NOT_A_COUNT},
    "ucb1": {"width": BELOW_0},
    "cascade_ucb1": {"width": BELOW_0},
    "epsilon_greedy": {"prior": BELOW_0, "epsilon": (-0.5, 2, math.nan)},
    "greedy_reward": REWARDS,
    "softmax_reward": REWARDS,
}  # fmt: skip
OF_CONFIGS: dict[Any, dict[str, tuple[Any, ...]]] = {
    PPOConfig: {"clip_range": NOT_ABOVE_0},
    A2CConfig: {
        "n_steps": NOT_A_COUNT, "gae_lambda": NOT_A_SHARE, "end_to_end": NOT_A_SIZE,
        "fine_tune": BELOW_0,
    },
    DQNConfig: {"batch_size": NOT_A_COUNT, "capacity": NOT_A_COUNT, "target_every": NOT_A_COUNT},
    QRDQNConfig: {"capacity": NOT_A_COUNT, "explore": NOT_A_SHARE},
    ReplayConfig: {"batch_size": NOT_A_COUNT, "capacity": NOT_A_COUNT},
    SlateQConfig: {
        "capacity": NOT_A_COUNT, "tau": (*NOT_A_SHARE, 0), "explore": NOT_A_SHARE,
    },
    BCConfig: {
        "batch_size": NOT_A_COUNT, "learning_rate": NOT_ABOVE_0, "tau": (*NOT_A_SHARE, 0),
    },
    CQLConfig: {"temperature": NOT_ABOVE_0},
    DecisionConfig: {"batch_size": NOT_A_COUNT},
}  # fmt: skip


def rows(table: dict[Any, dict[str, tuple[Any, ...]]]) -> list[Any]:
    """(of what, setting, value), with a name that pytest can show."""
    return [
        pytest.param(of, name, value, id=f"{getattr(of, '__name__', of)}({name}={value})")
        for of, settings in table.items()
        for name, values in settings.items()
        for value in values
    ]


@pytest.mark.parametrize(("name", "setting", "value"), rows(OF_BUILDERS))
def test_a_builder_names_the_setting_that_cannot_be(name: str, setting: str, value: Any) -> None:
    said = f"^{setting} is {re.escape(f'{value:,}' if value == 100_001 else repr(value))};"
    with pytest.raises(ValueError, match=said):
        POLICIES[name].load()(SERVING, **{setting: value})


@pytest.mark.parametrize(("config", "setting", "value"), rows(OF_CONFIGS))
def test_so_does_a_config(config: Any, setting: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{setting} is {re.escape(repr(value))};"):
        config(**{setting: value})


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("ppo", {"epsilon": 1, "gamma": 0, "entropy": 0, "n_steps": 1, "batch_size": 2}),
        ("dqn", {"epsilon": 0, "explore": 1.0, "updates": 1, "learning_rate": np.float32(1e-9)}),
        ("td3", {"noise": 0}),
        ("slateq", {"warm": 0, "item_size": 0, "batch_size": np.int64(1), "decay_steps": 5e6}),
        ("reinforce", {"entropy": 0, "cap": 1e-9}),
        ("cql", {"strength": 0, "epochs": 1, "hidden": 1}),
        ("linucb", {"alpha": 0, "ridge": 1e-9, "rank": 1}),
        ("lints", {"width": 0, "draws": 1, "epsilon": 1.0}),
        ("epsilon_greedy", {"prior": 0, "epsilon": 0}),
    ],
)
def test_the_edges_of_what_can_be_are_allowed(name: str, settings: dict[str, Any]) -> None:
    assert POLICIES[name].load()(SERVING, **settings).serving is SERVING


def on_an_encoder() -> list[str]:
    """Policies that can stand on one."""
    return [n for n in POLICIES if "encoder" in inspect.signature(POLICIES[n].load()).parameters]


def fitted(n_items: int, name: str = "markov", **settings: Any) -> Encoder:
    lists = [[0, 1, n_items - 1], [1, 2], [2, 0]]
    made: Encoder = ENCODERS[name](**settings).fit(Sequences.from_lists(lists, n_items=n_items))
    return made


@pytest.mark.parametrize("name", on_an_encoder())
def test_an_encoder_of_another_catalogue_is_refused_by_its_size(name: str) -> None:
    make = POLICIES[name].load()
    assert make(SERVING, encoder=fitted(20)).serving is SERVING
    for n_items in (19, 30):
        with pytest.raises(ValueError, match=f"knows {n_items} items and the environment 20: fit"):
            make(SERVING, encoder=fitted(n_items))


def test_so_is_one_that_would_be_fine_tuned_and_one_in_an_item_table() -> None:
    other = fitted(30, "gru4rec", dim=4, length=3, epochs=1)
    with pytest.raises(ValueError, match="knows 30 items and the environment 20"):
        POLICIES["ppo"].load()(SERVING, encoder=other, fine_tune=0.1)
    with pytest.raises(ValueError, match="knows 30 items and the environment 20"):
        item_table(SERVING, other)


USERS = 16
world = env_of(USERS, n_items=20, history_length=4)
LIVE = ["ppo", "maskable_ppo", "a2c", "dqn", "qrdqn", "sac", "td3", "slateq", "searched_rule"]
LEAST = {"dqn": 65, "qrdqn": 65, "sac": 65, "td3": 65, "slateq": 100}  # of a first call


def agent_of(name: str) -> Any:
    if name == "searched_rule":
        return build(name, world(), population=4, sessions=1)
    small = {"warm": 100, "batch_size": 32} if name == "slateq" else {}
    return build(name, world(), hidden=8, **small)


def updates(agent: Any) -> int:
    """Updates of its optimizer so far."""
    if hasattr(agent, "rule"):  # every decision is one of a generation
        return int(agent.steps)
    if hasattr(agent, "model"):
        return 0 if agent.model is None else agent.model._n_updates
    if agent.networks is None:
        return 0
    return int(max((s["step"] for s in agent.networks.optimizer.state.values()), default=0))


def test_every_agent_that_learns_in_a_world_is_here() -> None:
    live = {n for n in POLICIES if hasattr(POLICIES[n].load()(SERVING), "learn")}
    assert live == set(LIVE)


@pytest.mark.parametrize("name", LIVE)
@pytest.mark.parametrize("steps", [0, -5, math.nan])
def test_a_call_of_no_decisions_is_refused(name: str, steps: Any) -> None:
    agent = agent_of(name)
    with pytest.raises(ValueError, match=f"total_steps is {steps}; learning takes at least 1"):
        agent.learn(world(), total_steps=steps, seed=0)
    assert (agent.steps, updates(agent)) == (0, 0)


@pytest.mark.parametrize("name", LIVE)
def test_a_call_that_would_not_come_to_an_update_is_refused_and_what_it_asks_for_is_enough(
    name: str,
) -> None:
    agent, least = agent_of(name), LEAST.get(name, 1)
    if name in LEAST:
        short = (least - 1) // USERS * USERS  # the most that whole steps of all users leave short
        with pytest.raises(ValueError, match=rf"total_steps is {short}.*at least {least} in a"):
            agent.learn(world(), total_steps=short, seed=0)
        assert (agent.steps, updates(agent)) == (0, 0)
    agent.learn(world(), total_steps=least, seed=0)
    first = updates(agent)
    assert first > 0
    if name == "slateq":  # what it keeps begins anew in every call
        with pytest.raises(ValueError, match=r"total_steps is 96.*set a smaller warm"):
            agent.learn(world(), total_steps=96, seed=1)
    else:
        least = 1
    agent.learn(world(), total_steps=least, seed=1)
    assert updates(agent) > first


def test_the_warm_up_of_slateq_is_a_setting_that_is_kept(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"total_steps is 512.*at least 5,000 in a call"):
        build("slateq", world()).learn(world(), total_steps=512, seed=0)  # type: ignore[attr-defined]
    save(agent_of("slateq"), tmp_path / "it")
    back: Any = load(tmp_path / "it")
    assert back.config.warm == 100


@pytest.mark.parametrize(("users", "n_steps"), [(1, 1), (7, 1)])
def test_decisions_that_no_minibatch_divides_are_refused(users: int, n_steps: int) -> None:
    agent: Any = build("ppo", world(users), n_steps=n_steps, batch_size=6)
    with pytest.raises(ValueError, match=rf"n_steps = 1 of {users} users .* change n_steps"):
        agent.learn(world(users), total_steps=64, seed=0)


@pytest.mark.parametrize("temperature", [0, -1.0, math.nan, math.inf, 1e-320, "1", True])
def test_a_temperature_under_which_scores_are_no_numbers_is_refused(temperature: Any) -> None:
    for name in ("popularity", "softmax_encoder", "linucb", "greedy_reward"):
        builder: Any = POLICIES[name].load()
        if "temperature" in inspect.signature(builder).parameters:
            with pytest.raises(ValueError, match=r"temperature is .*give a finite number"):
                builder(SERVING, temperature=temperature)
