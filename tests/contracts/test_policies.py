"""What every policy in the registry promises: whoever joins the dict is tested."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from offpolicy import LoggedDataset
from policies import (
    POLICIES,
    Exploration,
    Observation,
    Policy,
    ScorePolicy,
    act,
    between,
    build,
    collect,
    load,
    observation_of,
    recommend,
    reranked,
    save,
    score_log,
)
from policies.observation import items_of
from policies.rules.constrained import constrained
from policies.rules.constraints import Banned, Cap, Quota, Repeats
from policies.rules.rerank import MMR, Fresh
from policies.slates.distributions import PlackettLuce, softmax
from policies.slates.parts import form_of, leaves, parts_of
from recsim_env.catalogue import NEVER
from tests.factories import env_of

A, C, K = 40, 6, 2


make_env = env_of(n_items=A, slate_size=K, n_candidates=C, history_length=8)


@pytest.fixture(scope="module", autouse=True)
def one_torch_thread() -> Iterator[None]:
    """Sums of several threads differ in their last digits from one run to the next."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def log() -> LoggedDataset:
    env = make_env()
    return collect(env, build("uniform", env), n_sessions=200, seed=3)


@pytest.fixture(scope="module")
def learned(log: LoggedDataset) -> dict[str, Policy]:
    env = make_env()
    policies = {name: build(name, env) for name in POLICIES}
    for policy in policies.values():
        policy.update(log)
    return policies


@pytest.fixture(scope="module")
def seen() -> Observation:
    env = make_env()
    obs, _ = env.reset(seed=11)
    for _ in range(4):
        obs, *_ = env.step(np.tile(np.arange(K), (16, 1)))
    return observation_of(obs)


@pytest.fixture(params=sorted(POLICIES))
def policy(request: pytest.FixtureRequest, learned: dict[str, Policy]) -> Policy:
    return learned[request.param]


def many(obs: Observation, n: int) -> Observation:
    """One user's observation, n times."""
    return obs.rows(np.zeros(n, np.int64))


def test_first_places_are_distributions(policy: Policy, seen: Observation) -> None:
    p = policy.distribution(seen).first_place()
    assert p.shape == (16, C)
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-9)


def test_logged_propensity_is_the_observed_frequency(policy: Policy, seen: Observation) -> None:
    n = 20_000
    drawn = act(policy, many(seen, n), np.random.default_rng(0))
    code = drawn.action[:, 0] * C + drawn.action[:, 1]
    frequency = np.bincount(code, minlength=C * C) / n
    first_seen = np.unique(code, return_index=True)[1]
    expected = np.zeros(C * C)
    expected[code[first_seen]] = drawn.propensity[first_seen]
    error = np.sqrt(np.maximum(expected * (1 - expected), 1e-12) / n)
    assert (np.abs(frequency - expected) < 4.5 * error + 2e-4).all()
    np.testing.assert_allclose(drawn.position_propensity.prod(axis=1), drawn.propensity, rtol=1e-9)


def test_probabilities_do_not_move_without_update(policy: Policy, seen: Observation) -> None:
    before = policy.distribution(seen).first_place()
    act(policy, seen, np.random.default_rng(1))
    np.testing.assert_array_equal(before, policy.distribution(seen).first_place())


def test_it_loads_to_the_same_probabilities_and_learns_on_alike(
    policy: Policy, seen: Observation, log: LoggedDataset, tmp_path: Path
) -> None:
    first = save(policy, tmp_path / "it")
    back = load(tmp_path / "it", serving=policy.serving)
    assert save(back, tmp_path / "again") == first
    slate = act(policy, seen, np.random.default_rng(3)).action
    policy = copy.deepcopy(policy)
    for part in range(2):  # as saved, and after learning from one more log
        one, two = policy.distribution(seen), back.distribution(seen)
        np.testing.assert_array_equal(two.first_place(), one.first_place())
        np.testing.assert_array_equal(two.prefix(slate), one.prefix(slate))
        more = log.take(log.sessions % 2 == part)
        assert policy.update(more) == back.update(more)


def test_under_rules_the_propensity_is_that_of_the_slate_shown(
    policy: Policy, seen: Observation
) -> None:
    """Joint and per place, against the frequencies of 20,000 slates; no rule is ever broken."""
    group = (np.arange(A) % 5).astype(np.int32)
    offer = seen.candidates
    assert offer is not None
    sponsors = np.isin(np.arange(A), offer[0, 2:4])
    rules = (
        Banned("recalled", np.arange(A) == offer[0, 5]),
        Repeats("no repeats", np.arange(A, dtype=np.int32)),
        Cap("one of a group", group, most=1),
        Quota("a sponsor", sponsors, least=1),
    )
    ruled = constrained(policy, *rules)
    n, one = 20_000, seen.rows(slice(1))
    drawn = act(ruled, many(one, n), np.random.default_rng(0))
    assert not ruled.audit(many(one, n), drawn.slate).broken.any()
    code, first, count = np.unique(drawn.action @ [C + 1, 1], return_index=True, return_counts=True)
    expected = drawn.propensity[first]
    error = np.sqrt(expected * (1 - expected) / n)
    assert (np.abs(count / n - expected) < 4.5 * error + 2e-4).all(), code
    place = drawn.position_propensity
    np.testing.assert_allclose(place.prod(axis=1), drawn.propensity, rtol=1e-9)
    lead, first, count = np.unique(drawn.action[:, 0], return_index=True, return_counts=True)
    error = np.sqrt(place[first, 0] * (1 - place[first, 0]) / n)
    assert (np.abs(count / n - place[first, 0]) < 4.5 * error + 2e-4).all(), lead
    best = items_of(seen, ruled.distribution(seen).ranking(K))
    assert not ruled.audit(seen, best).broken.any(), "what is recommended keeps the rules, too"


WRAPPERS = ("none", "epsilon", "rules", "objectives", "rules, objectives", "objectives, rules")
PATHS = ("geometric", "mixture")


def wrapped(policy: Policy, uniform: Policy, how: str) -> Policy | None:
    """The policy in a wrapper, the outermost named first; None where it does not fit."""
    rules = (
        Banned("recalled", np.arange(A) % 7 == 0),
        Cap("one of a group", (np.arange(A) % 5).astype(np.int32), most=1),
        Quota("two of the first half", np.arange(A) < A // 2, least=2),
    )
    vectors = np.random.default_rng(0).normal(size=(A, 3)).astype(np.float32)
    objectives = (MMR(vectors, 1.0), Fresh(np.arange(A) * 1.0, half_life=5.0, weight=0.7))
    if how == "epsilon":
        own = isinstance(policy, ScorePolicy)
        mixed = Exploration(temperature=0.7, epsilon=0.1)
        return ScorePolicy(policy.score_model, mixed) if own else None
    if how in PATHS:
        try:
            ends = constrained(uniform, *rules), constrained(policy, *rules)
            return between(*ends, 0.3, "geometric" if how == "geometric" else "mixture")
        except ValueError:  # to what shows its best surely
            return None
    for name in reversed(how.split(", ")):
        if name == "rules":
            policy = constrained(policy, *rules)
        elif name == "objectives":
            policy = reranked(policy, *objectives)
    return policy


@pytest.mark.parametrize("how", [*WRAPPERS, *PATHS])
def test_the_parts_of_scores_add_up_to_what_is_drawn(
    policy: Policy, learned: dict[str, Policy], seen: Observation, how: str
) -> None:
    """Softmax, or the best, of the sum of the parts, in every leaf; leaves by their weights."""
    under = wrapped(policy, learned["uniform"], how)
    if under is None:
        return
    if how == "geometric" and (policy.distribution(seen).first_place() == 0).any():
        return  # no such path leads there
    d = under.distribution(seen)
    may_stand = np.ones((16, C), np.bool_)
    if how not in ("none", "epsilon", "objectives"):
        by_rules = wrapped(learned["uniform"], learned["uniform"], "rules")
        assert by_rules is not None
        may_stand = by_rules.distribution(seen).first_place() > 0
    parts, every = parts_of(under, seen), leaves(d)
    assert len(parts) == len(every)
    assert sum(weight for weight, _ in every) == pytest.approx(1)
    total = np.zeros((16, C))
    for (weight, leaf), part in zip(every, parts, strict=True):
        chance = leaf.first_place()
        total += weight * chance
        logits = np.where(may_stand, sum(part.logits.values(), np.zeros((16, C))), -np.inf)
        if form_of(leaf) == "softmax":
            np.testing.assert_allclose(softmax(logits), chance, atol=1e-6)
        elif form_of(leaf) == "best":
            np.testing.assert_array_equal(logits.argmax(axis=1), chance.argmax(axis=1))
    np.testing.assert_allclose(total, d.first_place(), atol=1e-12)


def test_one_user_gets_a_ranking(policy: Policy, seen: Observation) -> None:
    assert seen.candidates is not None
    history = seen.history_items[0][seen.history_items[0] >= 0]
    responses = seen.history_responses[0][-len(history) :] if len(history) else None
    ranked = recommend(
        policy,
        history,
        4,
        responses=responses,
        user=seen.user[0],
        candidates=list(seen.candidates[0]),
    )
    assert len(set(ranked.tolist())) == 4
    assert set(ranked.tolist()) <= set(seen.candidates[0].tolist())
    np.testing.assert_array_equal(
        ranked,
        items_of(seen.rows(slice(1)), policy.distribution(seen.rows(slice(1))).ranking(4))[0],
    )
    everywhere = policy.recommend(history, responses=responses, user=seen.user[0])  # type: ignore[attr-defined]
    assert everywhere.shape == (K,)


@pytest.mark.parametrize("name", POLICIES)
def test_before_it_learns_a_policy_ranks_whatever_it_is_offered(name: str) -> None:
    env = make_env()
    policy: Any = build(name, env)
    history, responses = [3, 1, 4], np.zeros((3, len(policy.serving.response_names)))
    observed = {"responses": responses, "user": np.zeros(policy.serving.user_size)}
    assert len(set(policy.recommend(history, 9, **observed).tolist())) == 9
    rest = policy.recommend(history, exclude_history=True, **observed)
    assert not set(rest.tolist()) & set(history)


def test_a_slate_never_repeats_an_item_and_comes_from_the_candidates(
    policy: Policy, seen: Observation
) -> None:
    drawn = act(policy, seen, np.random.default_rng(2))
    assert (drawn.slate[:, 0] != drawn.slate[:, 1]).all()
    assert seen.candidates is not None
    assert (drawn.slate[:, :, None] == seen.candidates[:, None, :]).any(axis=2).all()


def test_what_is_not_eligible_is_never_shown(policy: Policy, seen: Observation) -> None:
    eligible = np.tile(np.arange(C) % 2 == 0, (16, 1))
    masked = Observation(
        history_items=seen.history_items,
        history_responses=seen.history_responses,
        user=seen.user,
        candidates=seen.candidates,
        eligible=eligible,
    )
    few = masked.rows(np.arange(10_000) % 16)
    for draw in range(4):  # over all policies a million slates
        assert (act(policy, few, np.random.default_rng(draw)).action % 2 == 0).all()


def test_the_log_scores_as_it_was_served(policy: Policy) -> None:
    """Training-serving parity: scored from its own log a policy repeats its logged propensities."""
    env = make_env()
    own = collect(env, policy, n_steps=12, seed=5)
    scores = score_log(policy, own, n_slates=2, chunk=50)
    np.testing.assert_allclose(scores.propensity, own.propensity, rtol=2e-4, atol=1e-12)
    assert scores.position_propensity is not None
    assert own.position_propensity is not None
    np.testing.assert_allclose(scores.position_propensity, own.position_propensity, rtol=2e-4)


def test_scored_draws_follow_the_policy(policy: Policy, log: LoggedDataset) -> None:
    """The drawn slates that reward models average over are slates of the row's candidates."""
    part = log.take(log.sessions < 5)
    scores = score_log(policy, part, n_slates=3)
    assert scores.slates is not None
    assert scores.slates.shape == (len(part), 3, K)
    assert part.candidates is not None
    inside = scores.slates[..., None] == part.candidates[:, None, None, :]
    assert inside.any(axis=3).all()


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_whole_catalogue_and_single_item_slates(name: str, log: LoggedDataset) -> None:
    env = make_env(num_envs=4, n_candidates=None, slate_size=1)
    policy = build(name, env)
    own = collect(env, policy, n_steps=3, seed=1)
    assert own.slate.shape == (12, 1)
    assert own.candidates is None
    scores = score_log(policy, own, n_slates=0)  # before learning: as it was served
    np.testing.assert_allclose(scores.propensity, own.propensity, rtol=2e-4)
    policy.update(own)
    assert (
        act(policy, observation_of(env.reset(seed=2)[0]), np.random.default_rng(0)).slate < A
    ).all()


def test_unknown_policy_and_unknown_setting_are_named() -> None:
    env = make_env(num_envs=1)
    with pytest.raises(ValueError, match=r"no policy 'best'; there are .*uniform"):
        build("best", env)
    with pytest.raises(ValueError, match=r"'linucb' has no setting 'beta'; it takes .*alpha"):
        build("linucb", env, beta=1.0)


def test_a_policy_of_another_catalogue_is_refused(log: LoggedDataset) -> None:
    with pytest.raises(ValueError, match="40 items and the policy's has 50"):
        score_log(build("uniform", make_env(n_items=50)), log)


def test_distribution_of_uniform_is_exactly_uniform(
    learned: dict[str, Policy], seen: Observation
) -> None:
    d = learned["uniform"].distribution(seen)
    assert isinstance(d, PlackettLuce)
    np.testing.assert_allclose(
        act(learned["uniform"], seen, np.random.default_rng(0)).propensity, 1 / 30
    )


@pytest.mark.parametrize("candidates", [C, None])
@pytest.mark.parametrize(
    "name",
    [
        "uniform",
        "greedy_reward",
        "linucb",
        "cascade_linucb",
        "softmax_encoder",
        "ppo",
        "maskable_ppo",
        "decision_transformer",
    ],
)
def test_masks_of_the_environment_are_served_logged_and_scored_alike(
    name: str, candidates: int | None
) -> None:
    """Items come and go: what may not be shown is not, and the log knows what was on offer."""
    since = np.where(np.arange(A) < A // 2, 0, 4).astype(np.int32)
    items = make_env(num_envs=1).catalogue
    until = np.where(since == 0, NEVER, 7).astype(np.int32)
    catalogue = dataclasses.replace(items, since=since, until=until)
    env = make_env(num_envs=8, n_candidates=candidates, catalogue=catalogue)
    policy = build(name, env)
    log = collect(env, policy, n_steps=10, seed=4)
    assert log.candidates is not None
    closed = (since > 0)[np.maximum(log.candidates, 0)] & (log.candidates >= 0)
    assert closed.any(), "items that appear later are on offer then"
    assert not closed[:1].any(), "and not before"
    assert (log.candidates < 0).any() == (candidates is None)
    scores = score_log(policy, log, n_slates=2)
    np.testing.assert_allclose(scores.propensity, log.propensity, rtol=2e-4)


def test_a_log_of_another_candidate_generator_is_refused(log: LoggedDataset) -> None:
    for n_candidates in (C + 2, None):
        with pytest.raises(ValueError, match=rf"log offers {C} candidates a row"):
            score_log(build("uniform", make_env(n_candidates=n_candidates)), log)


@pytest.mark.parametrize("missing", ["context", "responses", "consumed"])
def test_columns_that_a_policy_reads_are_asked_for(log: LoggedDataset, missing: str) -> None:
    part = log.take(log.sessions < 5)
    columns = {k: v for k, v in part.columns().items() if k != missing}
    blind = LoggedDataset.from_columns(n_items=A, **columns)
    score_log(build("uniform", make_env()), blind)  # reads none of them
    with pytest.raises(ValueError, match=f"reads {missing}, which the log does not hold"):
        score_log(build("greedy_reward", make_env()), blind)
