"""The log's one writer: whole sessions, users' own streams, the histories that were shown."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import ClipReward, RecordEpisodeStatistics

from policies import (
    Banned,
    Observation,
    act,
    build,
    collect,
    constrained,
    observation_of,
    score_log,
)
from policies.rollout import _split
from policies.slates.row_streams import RowStreams, stream_keys
from recsim_env import Population
from tests.factories import env_of

make_env = env_of(6, n_candidates=5, history_length=4)


@pytest.mark.parametrize("given", ["items", "nothing"])
def test_histories_derived_from_the_log_are_what_the_environment_showed(given: str) -> None:
    settings: dict[str, Any] = {}
    if given == "items":
        rng = np.random.default_rng(0)
        first = np.where(
            np.arange(3) >= rng.integers(0, 4, (9, 1)), rng.integers(0, 30, (9, 3)), -1
        )
        settings["population"] = Population(
            interests=rng.normal(size=(9, 16)).astype(np.float32),
            first_items=first.astype(np.int32),
        )
    env = make_env(**settings)
    policy = build("uniform", env)
    log = collect(env, policy, n_steps=25, seed=7)
    items, responses = log.histories(4)

    # the same run by hand, one observation at a time
    env_seed, act_seed = np.random.SeedSequence(7).spawn(2)
    rng = np.random.default_rng(act_seed)
    obs, _ = env.reset(seed=int(env_seed.generate_state(1)[0]))
    shown: dict[tuple[int, int], list[Any]] = {}
    session = np.zeros(6, int)
    for _ in range(25):
        for slot in range(6):
            row = (obs["history_items"][slot], obs["history_responses"][slot])
            shown.setdefault((slot, session[slot]), []).append(row)
        action = act(policy, observation_of(obs), rng).action
        obs, _, terminated, truncated, _ = env.step(action)
        session += terminated | truncated
    flat = [row for key in sorted(shown) for row in shown[key]]
    np.testing.assert_array_equal(items, [row[0] for row in flat])
    np.testing.assert_array_equal(responses, [row[1] for row in flat])
    assert (items >= 0).any()


def test_n_sessions_are_whole_and_each_users_first() -> None:
    log = collect(make_env(), build("uniform", make_env()), n_sessions=20, seed=1)
    assert log.n_sessions == 20
    last = np.append(np.flatnonzero(np.diff(log.sessions)), len(log) - 1)
    assert (log.terminated | log.truncated)[last].all()
    assert (log.terminated | log.truncated).sum() == 20
    np.testing.assert_array_equal(_split(20, 6), [4, 4, 3, 3, 3, 3])


def test_n_steps_truncates_what_is_still_open() -> None:
    log = collect(make_env(), build("uniform", make_env()), n_steps=5, seed=1)
    assert len(log) == 30
    last = np.append(np.flatnonzero(np.diff(log.sessions)), len(log) - 1)
    assert (log.terminated | log.truncated)[last].all()
    assert log.truncated.any()


def test_the_same_seed_gives_the_same_log_and_another_seed_another() -> None:
    env = make_env()
    first, again, other = (
        collect(env, build("uniform", env), n_sessions=12, seed=s) for s in (4, 4, 5)
    )
    assert first.hash() == again.hash()
    assert first.hash() != other.hash()


def test_two_policies_meet_the_same_users() -> None:
    env = make_env()
    greedy, flat = build("popularity", env), build("uniform", env)
    logs = [collect(env, p, n_sessions=12, seed=9) for p in (greedy, flat)]
    firsts = [log.candidates[log.step == 0] for log in logs if log.candidates is not None]
    np.testing.assert_array_equal(firsts[0], firsts[1])


def test_dead_rows_are_refused() -> None:
    env = make_env(autoreset_mode=AutoresetMode.NEXT_STEP)
    with pytest.raises(ValueError, match="SAME_STEP"):
        collect(env, build("uniform", env), n_steps=2, seed=0)


OTHER = [
    ({"n_items": 20}, "n_items 20, not 30"),
    ({"slate_size": 3}, "slate_size 3, not 2"),
    ({"n_candidates": None}, "n_candidates None, not 5"),
    ({"history_length": 7}, "history_length 7, not 4"),
]


@pytest.mark.parametrize(("sizes", "said"), OTHER)
def test_a_policy_serves_only_a_world_of_its_own_sizes(sizes: dict[str, Any], said: str) -> None:
    for name in ("uniform", "lints"):
        with pytest.raises(ValueError, match=rf"another world: {said}\. Use"):
            collect(make_env(), build(name, make_env(**sizes)), n_steps=2, seed=0)


@pytest.mark.parametrize(("sizes", "said"), OTHER)
def test_an_agent_learns_only_in_a_world_of_its_own_sizes(sizes: dict[str, Any], said: str) -> None:
    own = make_env(**sizes)
    for name in ("ppo", "slateq"):
        agent: Any = build(name, own)
        agent.update(collect(own, build("uniform", own), n_steps=20, seed=0))  # none is left to do
        with pytest.raises(ValueError, match=rf"was built for another world: {said}"):
            agent.learn(make_env(), total_steps=5_120, seed=0)


@pytest.mark.parametrize("name", ["uniform", "linucb", "lints", "cascade_linucb", "neural_linear"])
@pytest.mark.parametrize("item", [30, 10**9, -2])
def test_an_unknown_item_is_refused_by_its_place(name: str, item: int) -> None:
    env = make_env()
    policy, seen = build(name, env), observation_of(env.reset(seed=0)[0])
    for field, ids in (("candidates", seen.candidates), ("history_items", seen.history_items)):
        assert ids is not None
        wrong = ids.copy()
        wrong[3, 1] = item
        parts = {n: getattr(seen, n) for n in ("history_responses", "user", "history_items")}
        obs = Observation(**parts | {"candidates": seen.candidates, field: wrong})
        with pytest.raises(ValueError, match=rf"{field}\[3, 1\] = {item} is outside -1\.\.29"):
            act(policy, obs, np.random.default_rng(0))


@pytest.mark.parametrize("name", ["linucb", "lints", "cascade_linucb"])
def test_compiled_loops_are_not_asked_of_an_unknown_item(name: str) -> None:
    """Without `act` in between: the loops check nothing, and a process would die of it."""
    env = make_env()
    seen = observation_of(env.reset(seed=0)[0])
    assert seen.candidates is not None
    seen.candidates[5, 4] = 10**9
    with pytest.raises(ValueError, match=r"candidates\[5, 4\] = 1000000000 is outside"):
        build(name, env, arms="disjoint").distribution(seen)


@pytest.mark.parametrize("sizes", [{}, {"n_steps": 2, "n_sessions": 2}, {"n_steps": 0}])
def test_a_length_is_asked_for_once(sizes: dict[str, int]) -> None:
    env = make_env()
    with pytest.raises(ValueError, match="n_steps"):
        collect(env, build("uniform", env), seed=0, **sizes)


@pytest.mark.parametrize("asked", [1000 / 64, 2.0, float("nan"), True, "3", -1])
@pytest.mark.parametrize("name", ["n_steps", "n_sessions"])
def test_a_length_is_a_whole_number(name: str, asked: Any) -> None:
    env = make_env()
    with pytest.raises(ValueError, match=rf"{name} is .*; give a whole number"):
        collect(env, build("uniform", env), seed=0, **{name: asked})


def test_under_gymnasiums_wrappers_the_log_is_the_same_and_agents_learn() -> None:
    plain = collect(make_env(), build("uniform", make_env()), n_sessions=20, seed=0)
    for wrapper in (RecordEpisodeStatistics, partial(ClipReward, min_reward=-9, max_reward=99)):
        env = wrapper(make_env())
        assert collect(env, build("uniform", env), n_sessions=20, seed=0).hash() == plain.hash()
    agent: Any = build("slateq", env, warm=32, batch_size=8, hidden=4)
    agent.learn(env, total_steps=48, seed=0)
    assert agent.steps == 48


def test_an_environment_without_the_sizes_is_told_what_it_lacks() -> None:
    env = gymnasium.make_vec("CartPole-v1", num_envs=2)
    with pytest.raises(ValueError, match=r"cannot be served: .*n_candidates.*env\.unwrapped"):
        build("uniform", env)


@pytest.mark.parametrize("name", ["ppo", "slateq"])
def test_agents_learn_only_where_no_step_is_dead(name: str) -> None:
    dead = make_env(autoreset_mode="NextStep")
    agent: Any = build(name, dead)
    agent.update(collect(make_env(), build("uniform", make_env()), n_steps=20, seed=0))
    with pytest.raises(ValueError, match="SAME_STEP"):
        agent.learn(dead, total_steps=5_120, seed=0)


def test_what_a_rule_closes_is_not_on_offer_in_the_log() -> None:
    """Otherwise a uniform target would weigh slates that could not be shown, and its mean weight be
    below 1."""
    banned = np.arange(30) % 10 == 0  # two of five candidates are left in any case
    policy = constrained(build("uniform", make_env()), Banned("withdrawn", banned))
    free = collect(make_env(), build("uniform", make_env()), n_steps=20, seed=3)
    log = collect(make_env(), policy, n_steps=20, seed=3)
    assert log.candidates is not None
    assert free.candidates is not None
    assert banned[free.candidates].any()
    assert not banned[log.candidates[log.candidates >= 0]].any()
    scores = score_log(policy, log, n_slates=0)
    np.testing.assert_allclose(scores.propensity, log.propensity)


def test_slates_are_drawn_with_what_draws_gives() -> None:
    """Streams of each decision: a user gets the same slates beside any other users."""

    def draws(started: Any, step: Any) -> RowStreams:
        each = enumerate(zip(started, step, strict=True))
        return RowStreams(stream_keys(f"{i} {n} {s}" for i, (n, s) in each))

    logs = [
        collect(make_env(n), build("uniform", make_env(n)), n_steps=12, seed=3, draws=draws)
        for n in (6, 2)
    ]
    rows = len(logs[1])
    np.testing.assert_array_equal(logs[0].slate[:rows], logs[1].slate)
