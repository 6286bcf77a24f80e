"""What a world takes it does; what no world can do is refused by name."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from recsim_env import USERS, Catalogue, Population, RecVectorEnv
from recsim_env.model import check_config, load_model
from recsim_env.users.calibrated import CalibratedConfig, build_world

WORLD = "recsim_env/Longplay-v0"


@pytest.mark.parametrize(
    "name",
    [
        "num_envs",
        "slate_size",
        "n_candidates",
        "history_length",
        "max_steps",
        "session_ticks",
        "threads",
    ],
)
@pytest.mark.parametrize("value", [2.7, 2.0, "3", True, Fraction(3, 2), float("nan"), -1])
def test_a_size_that_is_no_whole_number_is_refused_by_name(name: str, value: Any) -> None:
    parameters: dict[str, Any] = {"num_envs": 2} | {name: value}
    with pytest.raises(ValueError, match=f"{name} = .*: give a whole number"):
        RecVectorEnv(model="longplay", **parameters)


def test_sizes_may_be_numpys_whole_numbers() -> None:
    env = RecVectorEnv(np.int64(2), model="longplay", slate_size=np.int32(2), max_steps=np.int8(3))
    env.reset(seed=0)
    assert env.step(np.tile([0, 1], (2, 1)))[4]["position_reward"].shape == (2, 2)


@pytest.mark.parametrize("penalty", [float("nan"), float("inf"), "1", True])
def test_a_penalty_is_a_finite_number(penalty: Any) -> None:
    with pytest.raises(ValueError, match=r"penalty = .*: give a finite number"):
        RecVectorEnv(model="longplay", on_invalid="penalise", penalty=penalty)


def test_a_penalty_is_taken_off_the_reward_and_its_positions_alike() -> None:
    calm, paid = (
        RecVectorEnv(3, model="longplay", slate_size=2, on_invalid="penalise", penalty=p)
        for p in (0.0, 4.0)
    )
    for env in (calm, paid):
        env.reset(seed=0)
    slates = np.array([[0, 1], [2, 2], [1, 0]])  # the second repeats an item
    free, fined = calm.step(slates), paid.step(slates)
    np.testing.assert_allclose(free[1] - fined[1], [0, 4, 0])
    lost = free[4]["position_reward"] - fined[4]["position_reward"]
    np.testing.assert_allclose(lost, [[0, 0], [2, 2], [0, 0]])


@pytest.mark.parametrize("module", USERS.values())
def test_numbers_of_every_config_are_finite_and_whole_where_declared(module: str) -> None:
    config = load_model(module).config
    for f in config.__dataclass_fields__.values():
        wrong: list[Any] = [float("nan"), float("inf"), "1"] if f.type == "float" else []
        wrong += [2.5, float("nan")] if f.type == "int" else []
        for value in wrong:
            with pytest.raises((ValueError, TypeError)):
                check_config(config(**{f.name: value}))
    check_config(config())


@pytest.mark.parametrize(
    ("model", "wrong"),
    [
        ("ad_slots", {"examine": 1.2}),
        ("boredom", {"fade": -0.1}),
        ("curriculum", {"slip": 1.5}),
        ("funnel", {"leave_idle": 2.0}),
        ("interest_evolution", {"drift": -1.0}),
        ("interest_exploration", {"first_type": 3.0}),
        ("long_term_satisfaction", {"exposure_sd": -1.0}),
        ("longplay", {"day_memory": 1.5}),
        ("longplay", {"n_topics": 0}),
        ("retention", {"habit": 7.0}),
    ],
)
def test_chances_and_spreads_outside_their_range_are_refused(
    model: str, wrong: dict[str, float]
) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} = .* must lie in"):
        RecVectorEnv(model=model, **wrong)


def test_chances_of_one_step_add_up_to_at_most_one() -> None:
    with pytest.raises(ValueError, match="add up to at most 1"):
        RecVectorEnv(model="organic_bandit", organic_to_bandit=0.8, organic_to_stop=0.5)


def played(mode: AutoresetMode | str) -> list[Any]:
    env = RecVectorEnv(2, model="longplay", max_steps=2, autoreset_mode=mode)
    assert env.autoreset_mode is env.metadata["autoreset_mode"]
    env.reset(seed=0)
    seen: list[Any] = []
    for _ in range(4):
        try:
            obs, _, _, truncated, infos = env.step(np.array([[0, 1, 2], [3, 4, 5]]))
        except RuntimeError as error:
            return [*seen, str(error)]
        seen.append((truncated.tolist(), "final_obs" in infos, obs["user"][:, -3].tolist()))
    return seen


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_the_name_of_an_autoreset_mode_is_the_mode(mode: AutoresetMode) -> None:
    assert played(mode.value) == played(mode)


@pytest.mark.parametrize("name", ["same_step", "", None])
def test_another_name_of_a_mode_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match=r"mode = .*choose one of 'NextStep', 'SameStep'"):
        RecVectorEnv(2, model="longplay", autoreset_mode=name)


def test_one_user_plays_the_session_that_is_asked_for() -> None:
    one, many = gymnasium.make(WORLD), gymnasium.make_vec(WORLD, num_envs=1)
    for number in (0, 5):
        options = {"sessions": np.array([[0, number]])}
        single, _ = one.reset(seed=4, options=options)
        vector, _ = many.reset(seed=4, options=options)
        np.testing.assert_array_equal(single["candidates"], vector["candidates"][0])
    with pytest.raises(ValueError, match="no option 'session'"):
        one.reset(options={"session": 3})


def test_one_user_whose_session_ended_is_told_to_reset() -> None:
    env = gymnasium.make(WORLD, max_steps=1)
    env.reset(seed=0)
    env.step(np.array([0, 1, 2]))
    with pytest.raises(RuntimeError, match=r"^the session has ended: call reset\(\) before step"):
        env.step(np.array([0, 1, 2]))
    env.reset()
    env.step(np.array([0, 1, 2]))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"first_items": np.array([[-1, 3], [1, 30]])}, r"first_items\[1\] = \[1, 30\] leaves"),
        ({"first_items": np.array([[-2, 3], [1, 3]])}, r"first_items\[0\] = \[-2, 3\] leaves"),
        ({"first_items": np.array([[1, 2**32 + 2]] * 2)}, r"0..29 \(2 of 2 users\)"),
        ({"first_items": np.array([[1.0, 2.0]] * 2)}, "item ids are whole numbers"),
        ({"first_items": np.array([1, 2])}, "one row each"),
        (
            {"first_items": np.array([[1]] * 2), "first_responses": np.full((2, 1, 3), np.inf)},
            r"first_responses\[0\] are not finite",
        ),
        ({"first_responses": np.zeros((2, 1, 3))}, "without first_items"),
        ({"traits": {"renown": np.array([0.0, np.nan])}}, "trait 'renown' holds a number"),
    ],
)
def test_first_histories_are_held_against_the_catalogue(given: Any, message: str) -> None:
    items = Catalogue.of(np.arange(30) % 5)
    with pytest.raises(ValueError, match=message):
        RecVectorEnv(
            2,
            model="longplay",
            catalogue=items,
            population=Population(interests=np.eye(5, dtype=np.float32)[:2], **given),
        )


def test_a_calibrated_world_has_a_row_for_every_user_and_item() -> None:
    items, users = 6, 4
    columns = {name: np.zeros(items, np.float32) for name in ("lead", "trail", "fame", "offset")}
    columns |= {"lead": np.zeros((items, 2)), "trail": np.zeros((items, 2))}
    catalogue = Catalogue.of(np.arange(items) % 2, columns=columns)
    traits = {"pull": np.zeros(users), "steps": np.full(users, 3.0)}
    for wrong, message in (
        ({"interests": np.eye(users, 3), "traits": traits}, "3 dimensions and item vectors 2"),
        ({"interests": np.eye(users, 2), "traits": traits | {"pull": np.zeros(2)}}, "pull has 2"),
    ):
        people = Population(**wrong)
        with pytest.raises(ValueError, match=message):
            build_world(CalibratedConfig(), catalogue, people)
