"""Policies between policies: exact probabilities, and paths between paths are one path."""

from __future__ import annotations

import json
from pathlib import Path as Folder
from typing import Any

import numpy as np
import pytest

from offpolicy import LoggedDataset
from policies import act, build, collect, load, recommend, save, score_log
from policies.improve.path import Path, along, between
from policies.rules.constrained import Constrained, constrained
from policies.rules.constraints import Banned, Cap, Quota
from policies.rules.rerank import MMR, reranked
from tests.factories import make_env
from tests.policies.improve.factories import A, Fixed, all_slates, fixed, rows, table

NOW, TARGET = np.log([0.4, 0.3, 0.2, 0.1]), np.log([0.1, 0.1, 0.4, 0.4])


def luce(p: np.ndarray) -> np.ndarray:
    """Probability of every ordered slate of two, place by place, from first-place shares."""
    p = p / p.sum()
    return np.array([p[a] * p[b] / (1 - p[a]) for a, b in all_slates()])


def test_half_way_is_the_geometric_mean_of_first_place_probabilities() -> None:
    half = between(fixed(NOW), fixed(TARGET), 0.5)
    mean = np.sqrt([0.4 * 0.1, 0.3 * 0.1, 0.2 * 0.4, 0.1 * 0.4])  # .2, .1732, .2828, .2
    first = half.distribution(rows()).first_place()[0]
    np.testing.assert_allclose(first, mean / mean.sum())
    np.testing.assert_allclose(first, [0.23363, 0.20233, 0.33040, 0.23363], atol=5e-5)
    np.testing.assert_allclose(table(half), luce(mean))
    assert table(half).sum() == pytest.approx(1)


def test_probabilities_are_the_frequencies_of_what_is_drawn() -> None:
    policy = between(fixed(NOW), fixed(TARGET), 0.3)
    drawn = act(policy, rows(40_000), np.random.default_rng(0)).slate
    code = drawn[:, 0] * A + drawn[:, 1]
    seen = np.bincount(code, minlength=A * A)[all_slates() @ [A, 1]] / len(drawn)
    np.testing.assert_allclose(seen, table(policy), atol=0.01)


def test_a_policy_that_explores_enters_by_its_first_place() -> None:
    explores = fixed(TARGET, epsilon=0.2)
    p = 0.8 * np.exp(TARGET) + 0.2 / A
    np.testing.assert_allclose(
        table(between(fixed(NOW), explores, 0.25)), luce(np.exp(0.75 * NOW) * p**0.25)
    )
    greedy = fixed(TARGET, temperature=None, epsilon=0.2)
    first = np.array([0.05, 0.05, 0.85, 0.05])
    np.testing.assert_allclose(
        table(between(fixed(NOW), greedy, 0.25)), luce(np.exp(0.75 * NOW) * first**0.25)
    )


def test_a_mixture_weighs_whole_slates() -> None:
    now, target = fixed(NOW), fixed(TARGET, temperature=None)
    mixed = between(now, target, 0.25, "mixture")
    np.testing.assert_allclose(table(mixed), 0.75 * table(now) + 0.25 * table(target))


@pytest.mark.parametrize("kind", ["geometric", "mixture"])
def test_the_ends_are_the_policies_themselves(kind: str) -> None:
    now, target = fixed(NOW), fixed(TARGET)
    assert between(now, target, 0, kind) is now  # type: ignore[arg-type]
    assert between(now, target, 1.0, kind) is target  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["geometric", "mixture"])
def test_ten_steps_towards_one_target_are_one_path_of_two_parts(kind: str) -> None:
    now = path = fixed(NOW)
    for _ in range(10):
        path = between(path, fixed(TARGET), 0.1, kind)  # type: ignore[arg-type, assignment]
    assert isinstance(path, Path)
    assert len(path.parts) == 2
    assert path.weights == pytest.approx((0.9**10, 1 - 0.9**10))
    straight = between(now, fixed(TARGET), 1 - 0.9**10, kind)  # type: ignore[arg-type]
    np.testing.assert_allclose(table(path), table(straight))
    model = path.parts[1].score_model  # type: ignore[attr-defined]
    model.calls = 0
    path.distribution(rows(3))
    assert model.calls == 1


def test_a_step_back_is_weighed_together_and_what_hardly_counts_is_dropped() -> None:
    now, target = fixed(NOW), fixed(TARGET)
    there = between(now, target, 0.5)
    back = between(there, now, 0.5)
    assert isinstance(back, Path)
    assert back.weights == pytest.approx((0.75, 0.25))
    nearly = between(there, target, 1 - 1e-5)
    assert isinstance(nearly, Path)
    assert nearly.weights == (1.0,)
    np.testing.assert_allclose(table(nearly), table(target))


def test_a_nested_path_is_exact_before_and_after_it_collapses() -> None:
    a, b, c = fixed(NOW), fixed(TARGET, epsilon=0.1), fixed(NOW[::-1])
    nested = Path("geometric", (Path("geometric", (a, b), (0.6, 0.4)), c), (0.7, 0.3))
    collapsed = between(between(a, b, 0.4), c, 0.3)
    assert isinstance(collapsed, Path)
    assert collapsed.weights == pytest.approx((0.42, 0.28, 0.3))
    np.testing.assert_allclose(table(nested), table(collapsed))
    mixed = between(between(a, b, 0.4, "mixture"), c, 0.3)  # a path of another kind is one part
    assert len(mixed.parts) == 2  # type: ignore[attr-defined]


def test_a_target_that_learns_on_does_not_move_what_serves() -> None:
    target = fixed(TARGET)
    path = between(fixed(NOW), target, 0.5)
    before = table(path)
    target.score_model.update(None)  # type: ignore[arg-type]
    np.testing.assert_array_equal(table(path), before)
    assert len(between(path, target, 0.5).parts) == 3  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"a policy on a path does not learn.*another step"):
        path.update(None)  # type: ignore[arg-type]


def test_masks_hold_on_the_path() -> None:
    eligible = np.tile([True, False, True, True], (12, 1))
    for kind in ("geometric", "mixture"):
        half = between(fixed(NOW), fixed(TARGET, epsilon=0.1), 0.5, kind)  # type: ignore[arg-type]
        p = table(half, eligible=eligible)
        assert (p[(all_slates() == 1).any(1)] == 0).all()
        assert p.sum() == pytest.approx(1)


def test_rules_around_both_ends_are_around_the_path() -> None:
    cap = Cap("one of each", np.array([0, 0, 1, 1], np.int32), 1)
    same = Cap("one of each", np.array([0, 0, 1, 1], np.int32), 1)
    now, target = constrained(fixed(NOW), cap), constrained(fixed(TARGET), same)
    for kind in ("geometric", "mixture"):
        half = between(now, target, 0.5, kind)  # type: ignore[arg-type]
        p = table(half)
        within = np.array([cap.broken(rows(), s[None])[0] > 0 for s in all_slates()])
        assert (p[within] == 0).all()
        assert p.sum() == pytest.approx(1)
    half = between(now, target, 0.5)
    assert isinstance(half, Constrained)
    again = between(half, target, 0.5)
    assert len(again.policy.parts) == 2  # type: ignore[attr-defined]
    free = luce(np.exp((NOW + TARGET) / 2))
    mean = np.exp((NOW + TARGET) / 2)
    s = all_slates()
    other = np.array(
        [mean[b] / mean[2:].sum() if a < 2 else mean[b] / mean[:2].sum() for a, b in s]
    )
    expected = np.where(free > 0, mean[s[:, 0]] / mean.sum() * other, 0)
    expected[(s[:, 0] < 2) == (s[:, 1] < 2)] = 0
    np.testing.assert_allclose(table(half), expected)


def test_different_rules_are_refused_by_name() -> None:
    ban = Banned("no 1", np.array([False, True, False, False]))
    with pytest.raises(ValueError, match=r"under the rules no 1 and the target under none.*constr"):
        between(constrained(fixed(NOW), ban), fixed(TARGET), 0.5)
    buried = reranked(constrained(fixed(NOW), ban), MMR(np.eye(4, dtype=np.float32), 1.0))
    with pytest.raises(ValueError, match=r"has rules inside of a Reranked.*outermost"):
        between(fixed(NOW), buried, 0.5)


def test_a_reranked_end_enters_by_its_first_place() -> None:
    spread = reranked(fixed(TARGET), MMR(np.eye(4, dtype=np.float32), 1.0))
    np.testing.assert_allclose(
        table(between(fixed(NOW), spread, 0.5)), luce(np.exp((NOW + TARGET) / 2))
    )


def test_what_shows_its_best_surely_has_no_geometric_path() -> None:
    greedy = fixed(TARGET, temperature=None)
    with pytest.raises(ValueError, match=r"the target shows its best.*temperature.*mixture"):
        between(fixed(NOW), greedy, 0.5)
    hidden = reranked(greedy, MMR(np.eye(4, dtype=np.float32), 1.0))
    path = between(fixed(NOW), hidden, 0.5)
    with pytest.raises(ValueError, match=r"column 0 of row 0 probability 0 .*mixture"):
        path.distribution(rows())


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"share is 1\.5"):
        between(fixed(NOW), fixed(TARGET), 1.5)
    with pytest.raises(ValueError, match="no path of kind 'linear'"):
        between(fixed(NOW), fixed(TARGET), 0.5, "linear")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the target was built for another world: n_items 5"):
        between(fixed(NOW), fixed(np.zeros(5)), 0.5)


@pytest.mark.parametrize("kind", ["geometric", "mixture"])
def test_all_shares_at_once_are_the_policies_one_by_one(kind: str) -> None:
    cap = Cap("one of each", np.array([0, 0, 1, 1], np.int32), 1)
    quota = Quota("a 3", np.array([False, False, False, True]), 1)
    ends = fixed(NOW), fixed(TARGET, epsilon=0.1)
    shares = [0, 0.2, 0.7, 1]
    for now, target in (ends, tuple(constrained(p, cap, quota) for p in ends)):
        models = [getattr(p, "policy", p).score_model for p in (now, target)]
        for model in models:
            model.calls = 0
        slates = all_slates()
        every = list(along(now, target, shares, kind, rows(len(slates))))  # type: ignore[arg-type]
        assert [m.calls for m in models] == [1, 1]
        for share, d in zip(shares, every, strict=True):
            one = between(now, target, share, kind)  # type: ignore[arg-type]
            np.testing.assert_allclose(d.prefix(slates)[:, -1], table(one), atol=1e-12)


def test_a_path_is_saved_with_all_its_policies(tmp_path: Folder) -> None:
    env = make_env()
    log = collect(env, build("uniform", env), n_sessions=60, seed=1)
    now = build("top_rated", env, temperature=2.0, epsilon=0.1)
    target = build("softmax_encoder", env, temperature=3.0)
    twin = build("softmax_encoder", env, temperature=5.0)
    now.update(log)
    rules = Cap("few", (np.arange(30) % 3).astype(np.int32), 1)
    inside = between(between(now, target, 0.3), twin, 0.2)
    ends = constrained(inside, rules), constrained(twin, rules)
    for kind in ("geometric", "mixture"):
        policy = between(*ends, 0.5, kind)  # type: ignore[arg-type]
        save(policy, tmp_path / kind)
        back = load(tmp_path / kind, serving=policy.serving)
        one, two = (score_log(p, log, n_slates=0) for p in (policy, back))
        np.testing.assert_array_equal(one.propensity, two.propensity)
        again = between(back, ends[1], 0.5, kind)  # type: ignore[arg-type]
        assert len(again.policy.parts) == (3 if kind == "geometric" else 2)  # type: ignore[attr-defined]
    written = [p.name for p in (tmp_path / "mixture").iterdir() if p.is_dir()]
    assert len(written) == 1  # all parts stand on one encoder, which is written once
    items = recommend(policy, history=[1, 2], user=np.zeros(policy.serving.user_size),
                      responses=np.zeros((2, len(policy.serving.response_names))), k=3)  # fmt: skip
    assert len(set(items.tolist())) == 3


def test_an_altered_tree_is_refused(tmp_path: Folder) -> None:
    save(between(fixed(NOW), fixed(TARGET), 0.5), tmp_path / "it")
    file = tmp_path / "it" / "config.json"
    about = json.loads(file.read_text())
    about["policy"][0]["parts"] = [0, 1]
    file.write_text(json.dumps(about))
    with pytest.raises(ValueError, match=r"was altered: part 0 holds \[0, 1\]"):
        load(tmp_path / "it", kinds=[Fixed])


def test_a_served_step_is_what_its_log_says() -> None:
    env = make_env()
    uniform, target = build("uniform", env), build("top_rated", env, temperature=1.0)
    target.update(collect(env, uniform, n_sessions=60, seed=1))
    path = between(uniform, target, 0.4)
    log: LoggedDataset = collect(env, path, n_sessions=40, seed=2)
    np.testing.assert_allclose(score_log(path, log, n_slates=0).propensity, log.propensity)


def test_an_agent_that_learnt_in_a_world_may_be_a_target(tmp_path: Folder) -> None:
    env = make_env()
    uniform = build("uniform", env)
    agent: Any = build("a2c", env, seed=0)
    log = collect(env, uniform, n_sessions=60, seed=1)
    agent.prepare(log)
    agent.learn(env, total_steps=320, seed=0)
    path = between(uniform, agent, 0.5)
    want = score_log(path, log, n_slates=0).propensity
    assert np.ptp(np.log(want)) > 0.01
    save(path, tmp_path / "it")
    again = score_log(load(tmp_path / "it"), log, n_slates=0).propensity
    np.testing.assert_array_equal(again, want)
