"""A session to look at: what is kept, told and drawn of it, and that nothing is kept unasked."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

import recsim_env
from recsim_env import session_picture, session_text, watch, world_diagram
from recsim_env.oracles.oracle import random_slates
from recsim_env.rendering.picture import topic_colour
from recsim_env.rendering.trace import as_numbers

WORLD = "recsim_env/Longplay-v0"


def made(mode: str | None, **settings: Any) -> Any:
    return gymnasium.make(WORLD, render_mode=mode, slate_size=2, history_length=3, **settings)


def test_modes_give_text_pixels_and_prints(capsys: pytest.CaptureFixture[str]) -> None:
    env = made("ansi")
    with pytest.raises(RuntimeError, match="call reset"):
        env.unwrapped.render()
    env.reset(seed=0)
    assert env.render().startswith("step 0 | state interest [")
    assert "satisfaction 0, budget 120, " in env.render()
    for _ in range(7):
        env.step(np.array([0, 1]))
    lines = env.render().splitlines()
    assert [x.split(" |")[0] for x in lines if x.startswith("step")] == [
        f"step {t}" for t in (2, 3, 4, 5, 6, 7)
    ]
    pixels = made("rgb_array")
    pixels.reset(seed=0)
    before = pixels.render()
    pixels.step(np.array([4, 4]))
    after = pixels.render()
    assert before.shape == after.shape == (700, 900, 3)  # a film has one size
    assert after.dtype == np.uint8
    assert (before != after).any()
    human = made("human")
    human.reset(seed=0)
    human.step(np.array([0, 1]))
    assert human.render() is None
    out = capsys.readouterr().out
    assert out.count("step 0 | state") == 2
    assert out.count("step 1 | slate") == 1
    assert {"ansi", "human", "rgb_array"} == set(human.metadata["render_modes"])


def test_nothing_is_kept_where_no_mode_is_asked_for() -> None:
    env = made(None)
    env.reset(seed=0)
    env.step(np.array([0, 1]))
    assert env.unwrapped.render() is None
    assert not env.unwrapped._recorder.users
    with pytest.raises(ValueError, match='render_mode="ansi"'):
        _ = env.unwrapped.trace


def test_looking_changes_nothing() -> None:
    seen, unseen = made("ansi"), made(None)
    for env in (seen, unseen):
        env.reset(seed=4)
    for _ in range(5):
        a, b = (env.step(np.array([1, 0])) for env in (seen, unseen))
        assert all(np.array_equal(a[0][k], b[0][k]) for k in a[0])
        assert a[1:4] == b[1:4]


def test_what_is_watched_is_that_session_of_a_vector_environment() -> None:
    """Slot 3's session 1, served from the top of its candidates, there and when watched alone."""

    def first(env: Any, obs: Any, rng: Any) -> np.ndarray:
        return np.tile(np.arange(2), (env.num_envs, 1))

    many: Any = gymnasium.make_vec(WORLD, num_envs=5, slate_size=2, history_length=3)
    many.reset(seed=9)
    taken: list[list[int]] = [[], []]
    paid, session = [0.0, 0.0], 0
    while session < 2:
        _, reward, terminated, truncated, info = many.step(first(many, None, None))
        taken[session].append(int(info["consumed"][3]))
        paid[session] += float(reward[3])
        session += int(terminated[3] | truncated[3])
    trace = watch(made("ansi"), first, seed=9, session=(3, 1))
    assert trace.consumed.tolist() == taken[1] != taken[0]
    assert trace.reward.sum() == pytest.approx(paid[1])
    assert trace.end == "the user left"
    assert session_text(trace).endswith("the user left")
    assert trace.state["budget"][0] - trace.state["budget"][-1] == pytest.approx(
        trace.reward.sum() + 0.5 * (trace.consumed < 0).sum(), abs=1e-4
    )  # minutes watched, and half a minute for each slate without a choice
    short = watch(made("ansi", max_steps=2), first, seed=9)
    assert (len(short), short.end) == (2, "the session was cut off")
    assert len(watch(made("ansi"), first, seed=9, steps=1)) == 1


def test_oracles_can_be_watched_under_wrappers() -> None:
    env: Any = gymnasium.wrappers.TimeLimit(made("rgb_array"), 4)
    trace = watch(env, random_slates, seed=0)
    assert len(trace) <= 4
    again = watch(env, random_slates, seed=0)
    assert np.array_equal(trace.slates, again.slates)


def test_a_long_session_is_told_and_drawn_by_its_end() -> None:
    trace = watch(made("ansi"), random_slates, seed=2, steps=8)
    assert len(trace) > 3
    assert len(session_picture(trace, last=2).axes[0].patches) == 2 * 2
    assert session_text(trace, last=1).count("| slate") == 1
    for call in (session_picture, session_text):
        with pytest.raises(ValueError, match="last = 0"):
            call(trace, 0)


def test_names_bit_sets_and_colours() -> None:
    names = tuple(f"trk_{i}" for i in range(6))
    catalogue = recsim_env.Catalogue.of(np.arange(6) % 3, n_topics=3, names=names)
    env: Any = gymnasium.make(
        "recsim_env/InterestEvolution-v0", render_mode="ansi", catalogue=catalogue,
        slate_size=2, n_candidates=4,
    )  # fmt: skip
    env.reset(seed=0)
    env.step(np.array([0, 1]))
    assert "| slate trk_" in env.render()
    assert as_numbers(np.array([[0b1011, 1 << 63]], np.uint64)).tolist() == [[4.0]]
    hues = {topic_colour(z, 20) for z in range(20)}
    assert len(hues) == 20
    assert all(0 <= x <= 1 for hue in hues for x in hue)


def test_the_diagram_names_what_the_world_has() -> None:
    env: Any = gymnasium.make(WORLD, cohorts=True, max_steps=9)
    texts = [t.get_text() for t in world_diagram(env).axes[0].texts]
    told = " ".join(" ".join(texts).split())
    for part in ("boredom (20)", "satisfaction", "casual", "20 candidates of 1000 items",
                 "a slate of 3", "cut off after 9 decisions", "stays"):  # fmt: skip
        assert part in told
    assert "counter" not in told
