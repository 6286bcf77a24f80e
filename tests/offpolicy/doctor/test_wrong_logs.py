"""Wrong logs are seen: each fault in worlds drawn anew, by a check that names what to look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from offpolicy import LoggedDataset, check_log
from offpolicy.doctor.log_check import LogCheck
from tests.offpolicy.doctor.shapes import (
    DAYS,
    draw,
    one_step,
    pick,
    plackett_luce,
    softmax,
)

ROWS, ITEMS = 20_000, 20
Columns = dict[str, Any]


def world(rng: np.random.Generator) -> Columns:
    """Users of different tastes and success, a softmax logger over contexts, a platform column."""
    n, users = ROWS, ROWS // 8
    theta = 0.6 * rng.normal(size=(4, ITEMS))
    user = rng.integers(0, users, n)
    x = rng.normal(size=(n, 4))
    p = 0.9 * softmax(x @ theta) + 0.1 / ITEMS
    item = draw(p, rng)
    chance = rng.beta(2, 6, users)[user] * (0.6 + 0.8 * (pick(x @ theta, item) > 0))
    return {
        "slate": item, "propensity": pick(p, item), "user": user, "time": spread_times(n, rng),
        "reward": (rng.random(n) < chance).astype(float), "candidate_propensity": p,
        "context": np.column_stack([x, rng.random(n) < 0.3]), "logger": rng.integers(0, 4, n),
    }  # fmt: skip


def spread_times(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return np.sort(rng.uniform(0, DAYS, n))


def slates(rng: np.random.Generator, sharp: float = 0.4) -> Columns:
    """Slates of three by Plackett and Luce, with all that is known of their places."""
    x = rng.normal(size=(ROWS, 4))
    z = x @ (sharp * rng.normal(size=(4, ITEMS)))
    slate, pp = plackett_luce(z, 3, rng)
    at = draw(np.tile([0.3, 0.2, 0.1, 0.4], (ROWS, 1)), rng)
    taken = np.where(at < 3, slate[np.arange(ROWS), at.clip(max=2)], -1)
    paid = (slate == taken[:, None]) * np.array([1.0, 0.5, 0.25])
    return {
        "slate": slate, "propensity": pp.prod(1), "position_propensity": pp, "z": z,
        "position_reward": paid, "reward": paid.sum(1), "consumed": taken,
        "context": x,
    }  # fmt: skip


def examine(columns: Columns) -> LogCheck:
    c = {k: v for k, v in columns.items() if k not in ("time", "z")}
    item, p, reward = c.pop("slate"), c.pop("propensity"), c.pop("reward")
    log = one_step(item, p, reward, ITEMS, **c)
    return check_log(log, time=columns.get("time"))


def calm_slates(rng: np.random.Generator) -> Columns:
    return slates(rng, 0.2)


def without(columns: Columns, *names: str) -> Columns:
    return {k: v for k, v in columns.items() if k not in names}


def flat(c: Columns, _: np.random.Generator) -> Columns:
    return without(c, "candidate_propensity") | {"propensity": np.full(ROWS, 1 / ITEMS)}


def one_row_off(c: Columns, _: np.random.Generator) -> Columns:
    return without(c, "candidate_propensity") | {"propensity": np.roll(c["propensity"], 1)}


def flat_places(c: Columns, _: np.random.Generator) -> Columns:
    pp = np.tile(1 / (ITEMS - np.arange(3.0)), (ROWS, 1))
    return c | {"position_propensity": pp, "propensity": pp.prod(1)}


def flat_slates(c: Columns, _: np.random.Generator) -> Columns:
    p = np.full(ROWS, 1 / (ITEMS * (ITEMS - 1) * (ITEMS - 2)))
    return without(c, "position_propensity") | {"propensity": p}


def other_places(c: Columns, _: np.random.Generator) -> Columns:
    """The second and the third place have each other's propensity."""
    return c | {"position_propensity": c["position_propensity"][:, [0, 2, 1]]}


def other_rows_places(c: Columns, rng: np.random.Generator) -> Columns:
    pp = c["position_propensity"].copy()
    pp[:, 1:] = pp[rng.permutation(ROWS), 1:]
    return c | {"position_propensity": pp, "propensity": pp.prod(1)}


def not_renormalised(c: Columns, _: np.random.Generator) -> Columns:
    pp = np.take_along_axis(softmax(c["z"]), c["slate"], 1)
    return c | {"position_propensity": pp, "propensity": pp.prod(1)}


def not_renormalised_whole(c: Columns, rng: np.random.Generator) -> Columns:
    return without(not_renormalised(c, rng), "position_propensity")


OUTCOMES = ("reward", "position_reward", "consumed")


def one_row_late(c: Columns, _: np.random.Generator) -> Columns:
    return c | {k: np.roll(c[k], 1, 0) for k in OUTCOMES}


def a_few_of_other_rows(c: Columns, rng: np.random.Generator) -> Columns:
    at = np.flatnonzero(rng.random(ROWS) < 0.02)
    other = {k: c[k].copy() for k in OUTCOMES}
    for k in OUTCOMES:
        other[k][at] = c[k][rng.permutation(ROWS)[: len(at)]]
    return c | other


def places_of_other_rows(c: Columns, rng: np.random.Generator) -> Columns:
    return without(c, "consumed") | {"position_reward": c["position_reward"][rng.permutation(ROWS)]}


def places_of_a_few_other_rows(c: Columns, rng: np.random.Generator) -> Columns:
    at, paid = np.flatnonzero(rng.random(ROWS) < 0.03), c["position_reward"].copy()
    paid[at] = paid[rng.permutation(at)]
    return without(c, "consumed") | {"position_reward": paid}


def bots(c: Columns, rng: np.random.Generator) -> Columns:
    are = rng.random(ROWS) < 0.05
    user = np.where(are, 10**6 + rng.integers(0, 20, ROWS), c["user"])
    return c | {"user": user, "reward": np.where(are, 1.0, c["reward"])}


def lost_platform(c: Columns, _: np.random.Generator) -> Columns:
    return c | {"reward": np.where(c["context"][:, 4] > 0, 0.0, c["reward"])}


def lost_logger(c: Columns, _: np.random.Generator) -> Columns:
    return c | {"reward": np.where(c["logger"] == 2, 0.0, c["reward"])}


def again(c: Columns, rng: np.random.Generator, share: float, delay: float) -> Columns:
    """Some rows twice, under new session ids."""
    at = np.sort(np.r_[np.arange(ROWS), rng.choice(ROWS, int(share * ROWS), replace=False)])
    c = {k: v[at] for k, v in c.items()}
    return c | {"time": c["time"] + delay * rng.random(len(at))}


def jittered(c: Columns, rng: np.random.Generator) -> Columns:
    c = again(without(c, "user"), rng, 0.1, 1.0)
    return c | {"context": c["context"] + 1e-6 * rng.normal(size=c["context"].shape)}


def jittered_bare(c: Columns, rng: np.random.Generator) -> Columns:
    return without(jittered(c, rng), "candidate_propensity")


def retried(c: Columns, rng: np.random.Generator) -> Columns:
    return without(again(c, rng, 0.03, 0.0), "candidate_propensity", "context")


def retried_by_strangers(c: Columns, rng: np.random.Generator) -> Columns:
    return without(again(c, rng, 0.05, 1.0), "candidate_propensity", "context", "user", "logger")


def lost_revenue(c: Columns, rng: np.random.Generator) -> Columns:
    """Rewards of both signs, none of which arrived from one logger."""
    paid = rng.normal(size=ROWS)
    return c | {"reward": np.where(c["logger"] == 1, 0.0, paid)}


def clock_ahead(c: Columns, rng: np.random.Generator) -> Columns:
    return c | {"time": c["time"] + 400 * 86_400 * (rng.random(ROWS) < 0.02)}


def clock_behind(c: Columns, rng: np.random.Generator) -> Columns:
    return c | {"time": 1.7e9 + np.where(rng.random(ROWS) < 0.02, -1.7e9, c["time"])}


Damage = Callable[[Columns, np.random.Generator], Columns]
FAULTS: dict[str, tuple[Callable[[np.random.Generator], Columns], Damage, str]] = {
    "flat propensities": (world, flat, "mean weight per item (T2)"),
    "propensities one row off": (world, one_row_off, "mean weight per item (T2)"),
    "flat propensities of places": (slates, flat_places, "mean weight per item (T2)"),
    "flat propensities of slates": (slates, flat_slates, "mean weight per item (T2)"),
    "places permuted": (slates, other_places, "mean weight per item (T2)"),
    "places of other rows": (slates, other_rows_places, "mean weight per item (T2)"),
    "places not renormalised": (slates, not_renormalised, "mean weight per place (T2)"),
    "slates not renormalised": (
        calm_slates,
        not_renormalised_whole,
        "mean weight, uniform target (T2)",
    ),
    "outcomes one row late": (slates, one_row_late, "outcomes in slates"),
    "a few outcomes of other rows": (slates, a_few_of_other_rows, "outcomes in slates"),
    "rewards of places of other rows": (slates, places_of_other_rows, "rewards of places"),
    "some of them": (slates, places_of_a_few_other_rows, "rewards of places"),
    "bots": (world, bots, "steady users"),
    "a platform's clicks lost": (world, lost_platform, "outcomes per group"),
    "a logger's clicks lost": (world, lost_logger, "outcomes per group"),
    "copies with a new context": (world, jittered, "duplicates"),
    "copies without a table": (world, jittered_bare, "duplicates"),
    "retries": (world, retried, "duplicates"),
    "retries under other names": (world, retried_by_strangers, "duplicates"),
    "a logger's revenue lost": (world, lost_revenue, "outcomes per group"),
    "a clock ahead": (world, clock_ahead, "clock"),
    "a clock that was never set": (world, clock_behind, "clock"),
}


def wrong(fault: str, seed: int) -> LogCheck:
    build, damage, _ = FAULTS[fault]
    rng = np.random.default_rng([seed, 57])
    return examine(damage(build(rng), rng))


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_that_is_for_a_fault_sees_it(fault: str) -> None:
    for seed in range(2):
        finding = wrong(fault, seed)[FAULTS[fault][2]]
        assert finding.level > 0, (seed, finding)
        assert finding.rule
        assert finding.fix


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_nineteen_of_twenty_wrong_logs_are_seen(fault: str) -> None:
    assert sum(bool(wrong(fault, seed).troubles) for seed in range(100, 120)) >= 19


@pytest.mark.parametrize("build", [world, slates])
def test_the_worlds_that_are_damaged_are_right(
    build: Callable[[np.random.Generator], Columns],
) -> None:
    for seed in range(3):
        check = examine(build(np.random.default_rng([seed, 57])))
        assert not check.troubles, check


def session_log(rng: np.random.Generator, sessions: int = 800, steps: int = 5) -> LoggedDataset:
    n = sessions * steps
    return one_step(
        rng.integers(0, 3, n), np.full(n, 1 / 3), rng.random(n), 3,
        session=np.repeat(np.arange(sessions), steps), step=np.tile(np.arange(steps), sessions),
    )  # fmt: skip


def test_time_that_runs_backwards_names_its_first_row() -> None:
    rng = np.random.default_rng(0)
    log = session_log(rng)
    time = np.sort(rng.uniform(0, 80_000, (800, 5)), 1)
    assert check_log(log, time=time.ravel())["order in time"].level.name == "PASS"
    time[3, [1, 2]] = time[3, [2, 1]]
    one = check_log(log, time=time.ravel())["order in time"]
    assert (one.level.name, one.row) == ("WARN", 17)
    assert "row 17 (session 3, step 2)" in one.found
    backwards = check_log(log, time=time[:, ::-1].ravel())["order in time"]
    assert (backwards.level.name, backwards.row) == ("FAIL", 1)


def test_a_clock_is_set_apart_by_its_first_row() -> None:
    rng = np.random.default_rng(1)
    time = rng.uniform(0, DAYS, 4000)
    time[[90, 40]] += 400 * 86_400
    finding = check_log(session_log(rng), time=time)["clock"]
    assert (finding.level.name, finding.row) == ("WARN", 40)
    assert "2 rows are 39" in finding.found


def test_two_seasons_are_no_wrong_clock() -> None:
    rng = np.random.default_rng(2)
    time = rng.uniform(0, DAYS, 4000) + np.where(rng.random(4000) < 0.4, 300 * 86_400, 0)
    assert check_log(session_log(rng), time=time)["clock"].level.name == "PASS"


def test_consumed_outside_the_slate_names_the_first_such_row() -> None:
    log = one_step(
        np.array([0, 1, 2, 3]), np.full(4, 0.25), np.ones(4), 4, consumed=[0, -1, 3, 3],
    )  # fmt: skip
    finding = check_log(log)["outcomes in slates"]
    assert (finding.level.name, finding.row) == ("FAIL", 2)
    assert "1 of 3 items taken were not in their slate; the first is row 2: item 3" in finding.found


@pytest.mark.parametrize("extra", ["bonus at the end", "another currency", "a penalty for length"])
def test_rewards_of_places_may_be_worth_something_else(extra: str) -> None:
    rng = np.random.default_rng(3)
    c = slates(rng)
    more = {
        "bonus at the end": 2.0 * (rng.random(ROWS) < 0.2),
        "another currency": rng.normal(size=ROWS),
        "a penalty for length": -0.1 * (rng.random(ROWS) < 0.7),
    }[extra]
    assert examine(c | {"reward": c["reward"] + more})["rewards of places"].level.name == "PASS"


def test_a_reward_at_an_empty_place_is_of_another_row() -> None:
    log = one_step(
        np.array([[0, 1], [1, -1]]), np.full(2, 0.1), np.ones(2), 3,
        position_reward=[[1.0, 0.0], [0.0, 1.0]],
    )  # fmt: skip
    finding = check_log(log)["rewards of places"]
    assert (finding.level.name, finding.row) == ("FAIL", 1)


def test_places_with_replacement_have_all_items_to_choose_from() -> None:
    rng = np.random.default_rng(4)
    p = softmax(rng.normal(size=4))
    slate = rng.choice(4, (ROWS, 3), p=p)
    for places in ({"position_propensity": p[slate]}, {}):
        right = one_step(slate, p[slate].prod(1), rng.random(ROWS), 4, repeats=True, **places)
        assert not check_log(right).troubles
    flat = one_step(slate, np.full(ROWS, 1 / 64), rng.random(ROWS), 4, repeats=True)
    assert check_log(flat)["mean weight per item (T2)"].level.name == "FAIL"


def test_rows_kept_with_a_known_chance_count_by_their_row_weight() -> None:
    """Clicks are all kept, other rows one in ten: without the column items look over-shown."""
    rng = np.random.default_rng(5)
    n, a = 60_000, 5
    p = softmax(np.array([0.0, 0.5, 1.0, -0.5, -1.0]))
    item = rng.choice(a, n, p=p)
    click = rng.random(n) < np.array([0.9, 0.05, 0.05, 0.05, 0.05])[item]
    kept = click | (rng.random(n) < 0.1)
    item, reward, h = item[kept], click[kept].astype(float), np.where(click[kept], 1.0, 10.0)
    more = {"candidate_propensity": np.tile(p, (len(item), 1))}
    for columns in ({}, more):
        right = one_step(item, p[item], reward, a, row_weight=h, **columns)
        assert not check_log(right).troubles, check_log(right)
        lacking = check_log(one_step(item, p[item], reward, a, **columns))
        assert lacking["mean weight per item (T2)"].level.name == "FAIL"


def test_findings_print_names() -> None:
    log = one_step(
        np.array(["tea", "rum"] * 200), np.full(400, 0.9), np.ones(400), 2,
        item_names=["rum", "tea"], session=[f"s{i // 2}" for i in range(400)],
        step=np.arange(400) % 2, consumed=["rum"] * 400,
    )  # fmt: skip
    check = check_log(log, time=-np.arange(400.0))
    assert "the first is row 0: item rum" in check["outcomes in slates"].found
    assert "row 1 (session s0, step 1)" in check["order in time"].found
