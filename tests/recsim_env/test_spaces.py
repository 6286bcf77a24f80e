"""Samples of slate spaces: inside the mask, distinct, and alike among the slates it leaves."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector.utils import batch_space

import recsim_env  # noqa: F401  (registers the environments)
from recsim_env.spaces import SlateSpace

C, K = 8, 3
FIVE = np.array([1, 1, 0, 1, 1, 0, 1, 0], np.int8)


def space() -> SlateSpace:
    return SlateSpace(np.full(K, C), seed=0)


@pytest.mark.parametrize(
    "mask",
    [FIVE, FIVE.astype(bool), np.tile(FIVE, K), (FIVE,) * K, np.tile(FIVE, (K, 1)), FIVE[None]],
    ids=["items", "bool", "flat", "tuple", "table", "row"],
)
def test_every_form_of_a_mask_means_the_same(mask: Any) -> None:
    one = space()
    allowed = set(np.flatnonzero(FIVE).tolist())
    drawn = np.array([one.sample(mask=mask) for _ in range(400)])
    assert set(drawn.ravel().tolist()) == allowed
    assert all(len(set(slate)) == K for slate in drawn.tolist())


def test_the_masks_of_one_user_are_taken_as_they_come() -> None:
    env = gymnasium.make("recsim_env/Longplay-v0", slate_size=3, n_candidates=20)
    env.reset(seed=0)
    mask = env.unwrapped.action_masks()  # type: ignore[attr-defined]
    assert env.action_space.contains(env.action_space.sample(mask=mask))


def test_masks_of_many_slates_are_each_its_own() -> None:
    many = batch_space(space(), 4)
    masks = np.zeros((4, C), np.int8)
    for row in range(4):
        masks[row, row : row + K] = 1
    wanted = [set(range(row, row + K)) for row in range(4)]
    forms = (masks, np.tile(masks, (1, K)), tuple(tuple([one] * K) for one in masks))
    for form in forms:
        assert [set(slate) for slate in many.sample(mask=form).tolist()] == wanted


def test_positions_with_masks_of_their_own_hold_every_slate_alike() -> None:
    mask = np.zeros((K, C), np.int8)
    mask[0, [0, 1]] = mask[1, [1, 2]] = mask[2, [2, 3]] = 1
    one = space()
    drawn, count = np.unique(
        [one.sample(mask=tuple(mask)) for _ in range(1200)], axis=0, return_counts=True
    )
    right = {(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)}
    assert {tuple(slate) for slate in drawn.tolist()} == right
    assert (np.abs(count / 1200 - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 1200)).all()


def test_a_slate_that_chance_would_hardly_find_is_found() -> None:
    size = 12
    mask = np.zeros((size, size), np.int8)
    mask[np.arange(size), np.arange(size)] = 1
    mask[:, 0] = 1  # position 0 must take item 0, and so on: one slate in 2 ** 11 draws
    got = SlateSpace(np.full(size, size), seed=0).sample(mask=tuple(mask))
    assert got.tolist() == list(range(size))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.array([1, 1, 0, 0, 0, 0, 0, 0]), "mask allows 2 items in slate 0: a slate of 3"),
        (np.zeros(C), "mask allows 0 items"),
        (np.ones(C + 1), r"mask has shape \(9,\): give \(8,\)"),
        (np.full(C, 2), "mask holds other values than 0 and 1"),
        (np.full(C, np.nan), "mask holds other values than 0 and 1"),
        ((FIVE, FIVE[:4], FIVE), "mask's arrays differ in length"),
        ((np.eye(C)[0], np.eye(C)[0], FIVE), "no slate satisfies the mask"),
        ((FIVE, np.zeros(C), FIVE), "no slate satisfies the mask"),
    ],
)
def test_a_mask_that_no_slate_satisfies_is_refused(mask: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        space().sample(mask=mask)
