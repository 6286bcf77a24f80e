"""A mixture of two encoders: worked by hand, equal to its parts at the ends, its share chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from policies.encoders import ENCODERS, Heldout, Sequences
from policies.encoders.evaluate import ndcg
from policies.encoders.models import mixture as mixture_module
from policies.encoders.models.mixture import best_share, mixed

PAIR = {"first": "popularity", "second": "markov"}
RING = [[(first + t) % 12 for t in range(6)] for first in range(12)]


def made(share: float | None, **more: Any) -> Any:
    return ENCODERS["mixture"](**PAIR | {"share": share} | more)


def ring() -> Sequences:
    return Sequences.from_lists([*RING, [0, 0, 0, 0]], n_items=12)


def queries() -> Heldout:
    history = Sequences.from_lists([[3, 4], [7], [10, 11]], n_items=12)
    return Heldout(history, np.array([5, 8, 0], np.int32))


def test_by_hand() -> None:
    first = np.log(np.array([[0.5, 0.25, 0.25]], np.float32)) + 7  # up to a constant
    second = np.log(np.array([[0.1, 0.8, 0.1]], np.float32))
    want = [0.4 * 0.5 + 0.6 * 0.1, 0.4 * 0.25 + 0.6 * 0.8, 0.4 * 0.25 + 0.6 * 0.1]
    np.testing.assert_allclose(np.exp(mixed(first, second, 0.4, "linear"))[0], want, rtol=1e-5)
    half = np.exp(mixed(first, second, 0.5, "log"))[0]  # roots of .05, .2 and .025, up to a factor
    np.testing.assert_allclose(half / half[0], np.sqrt([1, 4, 0.5]), rtol=1e-5)


@pytest.mark.parametrize(("share", "part"), [(1.0, 0), (0.0, 1)])
def test_a_share_of_all_or_nothing_is_one_of_the_parts(share: float, part: int) -> None:
    mixture, ids = made(share).fit(ring()), np.array([[3, 4], [-1, 9]])
    np.testing.assert_array_equal(mixture.scores(ids), mixture.parts[part].scores(ids))


def test_probabilities_sum_to_one_and_far_scores_stay_finite() -> None:
    mixture = made(0.3, pool="linear").fit(ring())
    ids = np.array([[3, 4], [-1, -1]])
    np.testing.assert_allclose(np.exp(mixture.scores(ids)).sum(axis=1), 1, rtol=1e-5)
    far = (np.array([[0.0, x]], np.float32) for x in (-500, -400))
    assert np.isfinite(mixed(*far, 0.5, "linear")).all()


def test_the_share_is_the_one_that_ranks_validation_best() -> None:
    """Popularity knows nothing of a ring, so that any share of the chain is enough; none is not."""
    mixture = made(None).fit(ring(), valid=queries())
    shares = [made(s).join(*mixture.parts) for s in (0.0, 0.5, 1.0)]
    scored = [ndcg(one, queries()) for one in shares]
    assert scored[0] == 1
    assert scored[2] < 1
    assert ndcg(mixture, queries()) == 1
    assert mixture.share == best_share(*mixture.parts, queries(), "log") < 1
    assert made(None, pool="linear").fit(ring(), valid=queries()).share < 1
    assert made(None).fit(ring()).share == 0.5  # nothing to choose on
    assert made(0.9).fit(ring(), valid=queries()).share == 0.9  # given


def test_a_mixture_within_a_mixture_chooses_its_share_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixture_module, "best_share", lambda *asked: 0.35)
    outer = ENCODERS["mixture"](first="mixture", second="popularity", first_settings=PAIR)
    outer.fit(ring(), valid=queries())
    assert (outer.share, outer.parts[0].share) == (0.35, 0.35)
    again = type(outer).from_arrays(outer.config, outer.to_arrays())
    ids = np.array([[3, 4], [-1, -1]])
    np.testing.assert_array_equal(again.scores(ids), outer.scores(ids))


def test_parts_of_other_kinds_or_catalogues_are_refused() -> None:
    one, two = made(0.5).fit(ring()).parts
    with pytest.raises(ValueError, match="cannot be made of"):
        made(0.5).join(two, one)
    other = ENCODERS["markov"]().fit(Sequences.from_lists([[0, 1]], n_items=2))
    with pytest.raises(ValueError, match="12 items, markov 2"):
        made(0.5).join(one, other)
    with pytest.raises(ValueError, match="no such encoder; there are average"):
        made(0.5, first="caser")
    with pytest.raises(ValueError, match="no pool 'geometric'; there are log, linear"):
        made(0.5, pool="geometric")
    with pytest.raises(ValueError, match=r"share is 1\.5; a share lies in 0\.\.1"):
        made(1.5)
    with pytest.raises(ValueError, match="mapping of settings that markov has, skip, decay"):
        made(0.5, second_settings={"depth": 3})
    arrays = made(0.5).fit(ring()).to_arrays() | {"share": np.array([2.0])}
    with pytest.raises(ValueError, match=r"share of a mixture is 2\.0"):
        type(made(0.5)).from_arrays(made(0.5).config, arrays)
