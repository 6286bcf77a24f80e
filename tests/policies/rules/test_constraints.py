"""Rules before the draw: exact propensities with rules on, no violations, an audit of each step."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policies import POLICIES, Observation, Serving, act, load, save
from policies.observation import candidate_items, items_of
from policies.rules.constrained import Checked, Constrained, constrained
from policies.rules.constraints import Banned, Cap, Quota, Repeats
from policies.rules.rerank import MMR, Determinantal, FairExposure, Fresh, Reranked, reranked
from policies.slates.distributions import PlackettLuce, TopK, drawn
from policies.slates.sequential import Sequential, adjusted
from tests.policies.rules.factories import (
    GROUP,
    SERVING,
    SPONSORED,
    VECTORS,
    A,
    C,
    K,
    popular,
    users,
)

RULES = (
    Banned("recalled", np.arange(A) == 4),
    Repeats("no repeats", np.arange(A, dtype=np.int32)),
    Repeats("group twice", GROUP, times=2, spare=1),
    Cap("one of a group", GROUP, most=1),
    Quota("one sponsor", SPONSORED, least=1, most=1),
)


def probabilities(policy: Any, obs: Observation) -> dict[tuple[int, ...], float]:
    """Of every ordered slate for one user, by asking for each."""
    slates = np.array(list(permutations(range(C), K)), np.int32)
    many = obs.rows(np.zeros(len(slates), np.int64))
    p = policy.distribution(many).prefix(slates)[:, -1]
    return {tuple(s): float(x) for s, x in zip(slates.tolist(), p, strict=True) if x > 0}


@pytest.mark.parametrize(
    "policy",
    [
        constrained(popular(), *RULES),
        constrained(popular(temperature=None), *RULES),
        reranked(popular(), MMR(VECTORS, 2.0)),
        reranked(popular(), Determinantal(VECTORS, 1.5)),
        constrained(reranked(popular(), Determinantal(VECTORS, 1.5)), *RULES),
        reranked(constrained(popular(), *RULES), MMR(VECTORS, 2.0)),
    ],
    ids=["rules", "greedy rules", "mmr", "volume", "rules on volume", "mmr on rules"],
)
def test_probabilities_sum_to_one_and_are_the_observed_frequencies(policy: Any) -> None:
    obs, n = users(1, seed=5), 60_000
    exact = probabilities(policy, obs)
    assert sum(exact.values()) == pytest.approx(1, abs=1e-9)
    drawn = act(policy, obs.rows(np.zeros(n, np.int64)), np.random.default_rng(0))
    slates, first, count = np.unique(drawn.action, axis=0, return_index=True, return_counts=True)
    seen = dict(zip(map(tuple, slates.tolist()), count / n, strict=True))
    assert seen.keys() <= exact.keys()
    for slate, p in exact.items():
        assert abs(seen.get(slate, 0.0) - p) < 4.5 * np.sqrt(p * (1 - p) / n) + 1e-4
    for slate, row in zip(map(tuple, slates.tolist()), first, strict=True):
        assert drawn.propensity[row] == pytest.approx(exact[slate], rel=1e-9)
    np.testing.assert_allclose(drawn.position_propensity.prod(axis=1), drawn.propensity, rtol=1e-9)
    lead = np.bincount(drawn.action[:, 0], minlength=C) / n
    np.testing.assert_allclose(drawn.first_place[0], lead, atol=0.01)


@pytest.mark.slow
def test_many_draws_break_no_rule() -> None:
    policy = constrained(popular(), *RULES)
    broken = np.zeros(len(RULES), np.int64)
    for part in range(10):
        obs = users(20_000, seed=part)
        drawn = act(policy, obs, np.random.default_rng(part))
        assert (drawn.propensity > 0).all()
        audit = policy.audit(obs, drawn.slate)
        broken += audit.broken.sum(axis=1)
        assert audit.missing.sum() == 0, "two sponsors are on every offer"
        assert (SPONSORED[drawn.slate] & (drawn.slate >= 0)).sum(axis=1).tolist() == [1] * 20_000
    assert broken.tolist() == [0] * len(RULES)


def test_the_audit_names_every_intervention() -> None:
    obs = Observation(
        history_items=np.array([[0, 1], [-1, 8]], np.int32),
        history_responses=np.zeros((2, 2, 1), np.float32),
        user=np.zeros((2, 1), np.float32),
        candidates=np.array([[0, 1, 2, 4, 5, 6, 9, 10], [0, 1, 2, 3, 5, 6, 7, -1]], np.int32),
    )
    policy = constrained(popular(), *RULES)
    slate = act(policy, obs, np.random.default_rng(0)).slate
    assert slate.tolist() == [[9, 5, 6], [3, 0, 6]]
    audit = policy.audit(obs, slate)
    assert audit.closed.tolist() == [[1, 0], [2, 0], [3, 0], [0, 0], [0, 0]]
    assert audit.missing.tolist() == [[0, 0]] * 4 + [[0, 1]], "no sponsor on the second offer"
    # 9 closes 10 below it, for both rules; 3 closes 5, and then 0 closes 1 and 2
    assert audit.held.tolist() == [[0, 0]] * 3 + [[2, 2], [2, 0]]
    assert {(r["rule"], r["row"]) for r in audit.records()} == {
        ("recalled", 0), ("no repeats", 0), ("group twice", 0),
        ("one of a group", 0), ("one of a group", 1), ("one sponsor", 0), ("one sponsor", 1),
    }  # fmt: skip
    one, best = obs.rows(slice(1)), popular(0.0, None)
    worst = items_of(one, best.distribution(one).ranking(C))[0, -1]
    forced = constrained(best, Quota("the worst", np.arange(A) == worst, least=1))
    shown = act(forced, one, np.random.default_rng(0)).slate
    assert shown[0, :2].tolist() == items_of(one, best.distribution(one).ranking(2))[0].tolist()
    assert shown[0, 2] == worst
    assert forced.audit(one, shown).held.tolist() == [[1]]


def test_a_place_is_held_by_the_rule_that_closed_something_there() -> None:
    few = np.arange(A) < 3
    offer = np.array([[0, 1, 2, 3, 6]], np.int32)
    obs = replace(users(1), candidates=offer, history_items=np.full((1, 2), -1, np.int32))
    lead = Cap("one of three", np.where(few, 0, -1), most=1)
    both = constrained(popular(), lead, Quota("all three", few, least=3))
    slate = np.array([[0, 3, 6]], np.int32)  # others stand below it, for the cap has closed them
    assert both.audit(obs, slate).held.tolist() == [[2], [1]]
    rest = np.isin(np.arange(A), [3, 6])
    two = constrained(popular(), Quota("a", few, least=2), Quota("b", rest, least=1))
    slate = np.array([[0, 1, 3]], np.int32)  # anything may stand first; then one b is left to show
    assert two.audit(obs, slate).held.tolist() == [[0], [1]]
    slate = np.array([[3, 0, 1]], np.int32)  # after the only b wanted, two of a
    assert two.audit(obs, slate).held.tolist() == [[2], [0]]


def test_enough_candidates_stay_open_and_those_met_longest_ago_come_first() -> None:
    obs = Observation(
        history_items=np.array([[3, 1, 2, 0, 3], [-1, -1, 4, 1, 6]], np.int32),
        history_responses=np.zeros((2, 5, 1), np.float32),
        user=np.zeros((2, 1), np.float32),
        candidates=np.array([[0, 1, 2, 3, 4, -1], [0, 1, 2, 3, 4, 6]], np.int32),
        eligible=np.array([[True] * 6, [False, True, False, True, True, True]]),
    )
    each = np.arange(A, dtype=np.int32)
    rule = Repeats("no repeats", each, spare=3)
    closed = rule.closed(obs, candidate_items(obs, A))
    assert closed[0].tolist() == [True, False, False, True, False, False]  # 1, then 2, join 4
    assert closed[1].tolist() == [False, False, False, False, False, True]  # 4, then 1, join 3
    slate = np.array([[4, 1, 2], [3, 4, 1]], np.int32)
    assert rule.broken(obs, slate).tolist() == [0, 0]
    assert rule.broken(obs, np.array([[0, 3, 4], [3, 6, 4]], np.int32)).tolist() == [2, 1]
    assert Repeats("no repeats", each).broken(obs, slate).tolist() == [2, 2]
    whole = replace(obs, candidates=None, eligible=None)  # 12 items, 4 and 3 of them met
    assert rule.closed(whole, candidate_items(whole, A)).sum(axis=1).tolist() == [4, 3]
    assert rule.broken(whole, slate).tolist() == [2, 2]


def test_spare_counts_what_the_rules_before_it_leave_open() -> None:
    obs = Observation(
        history_items=np.array([[0, 1, 2, 3]], np.int32),
        history_responses=np.zeros((1, 4, 1), np.float32),
        user=np.zeros((1, 1), np.float32),
        candidates=np.array([[0, 1, 2, 3]], np.int32),
    )
    each, rng = np.arange(A, dtype=np.int32), np.random.default_rng(0)
    banned, again = Banned("recalled", np.arange(A) == 0), Repeats("again", each, spare=1)
    for policy in (
        constrained(popular(), banned, again),
        constrained(constrained(popular(), banned), again),
        reranked(constrained(popular(), banned, again), MMR(VECTORS, 1.0)),
    ):
        assert act(policy, obs, rng).slate.tolist() == [[1, -1, -1]]
    both = constrained(constrained(popular(), banned), again)
    audit = both.audit(obs, np.array([[1, -1, -1]], np.int32))
    assert audit.rules == ("recalled", "again")
    assert audit.closed.tolist() == [[1], [3]]
    assert not audit.broken.any()
    twice = replace(obs, candidates=np.array([[3, 3, 7, 8]], np.int32))  # offered twice
    rule = Repeats("again", each, spare=3)
    assert rule.closed(twice, candidate_items(twice, A)).tolist() == [[False, True, False, False]]
    assert rule.broken(twice, np.array([[3, 7, 8], [0, 7, 8]], np.int32)[:1]).tolist() == [0]
    assert rule.broken(twice, np.array([[0, 7, 8]], np.int32)).tolist() == [1]  # is not on offer


def test_items_of_no_group_are_never_closed() -> None:
    group = np.where(np.arange(A) < 6, -1, 0).astype(np.int32)
    obs = replace(users(50), history_items=np.tile([[-1, 0]], (50, 1)).astype(np.int32))
    for rule in (Repeats("again", group), Cap("one", group, most=1)):
        policy = constrained(popular(), rule)
        slate = act(policy, obs, np.random.default_rng(0)).slate
        assert (slate >= 0).all()
        assert not policy.audit(obs, slate).broken.any()
    assert (Cap("none", group, most=0).closed(obs, np.asarray(obs.candidates)) == (
        np.asarray(obs.candidates) >= 6
    )).all()  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "wrong"),
    [
        (lambda: Repeats("r", GROUP, times=0), "times of rule '.' is 0; give a whole number"),
        (lambda: Repeats("r", GROUP, times=3), "times is 3, and a history holds 2"),
        (lambda: Repeats("r", GROUP, spare=-1), "spare of rule '.' is -1; give a whole number"),
        (lambda: Cap("c", GROUP, most=1.5), "most of rule '.' is 1.5; give a whole number"),  # type: ignore[arg-type]
        (lambda: Cap("c", GROUP, most=-1), "most of rule '.' is -1; give a whole number"),
        (lambda: Cap("c", GROUP - 2, most=1), "number, 0..2.*from -2 to 1"),
        (lambda: Cap("c", np.full(A, 2**31), most=1), "number, 0..2.*to 2147483648"),
        (
            lambda: Quota("q", SPONSORED, least=2, most=1),
            "most of rule 'q' is 1; give a whole number",
        ),
        (lambda: Quota("q", SPONSORED, least=4), "least is 4, and a slate has places for 3"),
        (lambda: Quota("q", SPONSORED.astype(int)), "True or False for every item, got int64"),
        (lambda: Banned("b", [0, 1]), "True or False for every item"),
        (lambda: Banned("b", np.zeros(5, bool)), "5 items and the catalogue has 12"),
    ],
)
def test_rules_that_mean_nothing_are_refused_by_name(rule: Any, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        constrained(popular(), rule())
    with pytest.raises(ValueError, match="has no rule"):
        constrained(popular())


@pytest.mark.parametrize("name", ["lints", "neural_linear"])
def test_rules_and_objectives_add_up_on_posterior_draws(name: str) -> None:
    """Each draw is a ranking by its scores: what is put on top of it must keep what was there."""
    policy, obs = POLICIES[name].load()(SERVING, epsilon=0.0), users(40)
    cap, each = Cap("one of a group", GROUP, most=1), np.arange(A, dtype=np.int32)
    old = np.where(SPONSORED, 0.0, 500.0)
    fresh = reranked(policy, Fresh(old, half_life=1.0, weight=1e6))
    slate = act(fresh, obs, np.random.default_rng(0)).slate
    assert SPONSORED[slate].sum(axis=1).tolist() == [2] * 40  # 9 and 10 are on every offer
    assert SPONSORED[items_of(obs, fresh.distribution(obs).ranking(2))].all()
    for stacked in (
        constrained(fresh, cap),
        reranked(constrained(policy, cap), Fresh(old, half_life=1.0, weight=1e6)),
        constrained(constrained(fresh, Cap("each once", each, most=1)), cap),
    ):
        drawn = act(stacked, obs, np.random.default_rng(0))
        assert (drawn.propensity > 0).all()
        for shown in (drawn.slate, items_of(obs, stacked.distribution(obs).ranking(3))):
            assert SPONSORED[shown].sum(axis=1).tolist() == [1] * 40
            assert not cap.broken(obs, shown).any()
    deep = Serving(**{**sizes(SERVING), "n_items": 300, "n_candidates": None})
    many = POLICIES[name].load()(deep, epsilon=0.0)
    half = np.where(np.arange(300) < 200, 0, np.arange(300)).astype(np.int32)
    whole = replace(obs, candidates=None)
    assert (act(constrained(many, Cap("half", half, 1)), whole, np.random.default_rng(0)).slate
            >= 0).all()  # fmt: skip


def sizes(serving: Serving) -> dict[str, Any]:
    wide = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    return {**{f.name: getattr(serving, f.name) for f in fields(serving)}, "item_features": wide}


def test_the_last_layer_stops_a_slate_that_breaks_a_rule() -> None:
    """A distribution that forgot the rules cannot get past it."""
    obs = users(4)
    forgot = TopK(np.tile(np.arange(C, dtype=float), (4, 1)), K)  # both sponsors lead
    with pytest.raises(AssertionError, match="rule 'one of a group' is broken by slate"):
        Checked(forgot, RULES, (obs,) * len(RULES)).sample(np.random.default_rng(0))
    with pytest.raises(AssertionError, match="rule 'one of a group' is broken by slate"):
        Checked(forgot, RULES, (obs,) * len(RULES)).ranking(K)


def test_rules_count_violations_from_the_slate_alone() -> None:
    obs = users(1).rows(np.zeros(3, np.int64))
    slate = np.array([[0, 1, 9], [9, 10, 11], [4, -1, 3]], np.int32)
    cap, quota = RULES[3], RULES[4]
    assert cap.broken(obs, slate).tolist() == [1, 2, 1]
    assert quota.broken(obs, slate).tolist() == [0, 2, 0]
    assert quota.missing(slate).tolist() == [0, 0, 1]
    assert RULES[0].broken(obs, slate).tolist() == [0, 0, 1]


def test_quotas_that_need_all_places_left_are_met_together() -> None:
    """One of each of three providers in three places, though others score higher."""
    providers = [Quota(f"provider {g}", group_is(g), least=1) for g in (0, 1, 2)]
    base = popular(epsilon=0.0, temperature=None)
    policy = constrained(base, *providers)
    obs = users(200)
    audit = policy.audit(obs, act(policy, obs, np.random.default_rng(0)).slate)
    on_offer = np.array(
        [[(GROUP[row] == g).any() for g in (0, 1, 2)] for row in np.asarray(obs.candidates)]
    )
    assert (~on_offer == audit.missing.T).all()


def group_is(g: int) -> Any:
    return np.asarray(g == GROUP)


def test_without_adjustments_a_sequential_draw_is_plackett_luce() -> None:
    logits = np.random.default_rng(1).normal(size=(5, C))
    logits[:, 2] = -np.inf
    slates = np.array([[0, 1, 3], [7, 6, 5], [2, 0, 1], [4, 3, 1], [5, 0, 7]], np.int32)
    plain = PlackettLuce(logits, K)
    walked = adjusted(plain, ())
    assert isinstance(walked, Sequential)
    np.testing.assert_allclose(walked.prefix(slates), plain.prefix(slates), rtol=1e-12)
    np.testing.assert_array_equal(walked.ranking(4), plain.ranking(4))


@pytest.mark.parametrize("temperature", [1.0, None])
@pytest.mark.parametrize("epsilon", [0.0, 0.3])
def test_a_slate_and_its_probability_in_one_pass_are_those_of_two(
    temperature: float | None, epsilon: float
) -> None:
    """Bit for bit, also where rules leave places empty, and under a mixture."""
    policy = constrained(popular(temperature=temperature, epsilon=epsilon), *RULES)
    obs = users(200)
    few = np.random.default_rng(2).random((200, C)) < 0.4
    for seen in (obs, obs.with_eligible(few)):
        d = policy.distribution(seen)
        slate, prefix = drawn(d, np.random.default_rng(7))
        np.testing.assert_array_equal(slate, d.sample(np.random.default_rng(7)))
        np.testing.assert_array_equal(prefix, d.prefix(slate))
        chosen = act(policy, seen, np.random.default_rng(7))
        np.testing.assert_array_equal(chosen.action, slate)
        np.testing.assert_array_equal(chosen.propensity, prefix[:, -1])
    assert (slate < 0).any()


def test_rules_and_objectives_are_saved_with_their_policy(tmp_path: Path) -> None:
    objectives = (
        MMR(VECTORS, 1.0),
        Determinantal(VECTORS, 0.5),
        Fresh(np.arange(A) * 1.0, 4.0, 1.0),
        FairExposure(GROUP, np.full(4, 0.25), 1.0, np.arange(4.0)),
    )
    policy = constrained(reranked(popular(), *objectives), *RULES)
    save(policy, tmp_path / "it")
    back = load(tmp_path / "it", serving=SERVING)
    assert isinstance(back, Constrained)
    assert isinstance(back.policy, Reranked)
    obs = users(50)
    slate = act(policy, obs, np.random.default_rng(0)).action
    one, two = policy.distribution(obs), back.distribution(obs)
    np.testing.assert_array_equal(one.prefix(slate), two.prefix(slate))


def test_arrays_of_another_catalogue_and_foreign_distributions_are_refused() -> None:
    with pytest.raises(ValueError, match=r"rule 'recalled' has entries for 5 items .* has 12"):
        constrained(popular(), Banned("recalled", np.zeros(5, bool)))
    with pytest.raises(ValueError, match="rules cannot be put on a object"):
        adjusted(object(), ())  # type: ignore[arg-type]
