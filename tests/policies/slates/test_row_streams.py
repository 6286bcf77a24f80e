"""A row's draws: its own in any batch, and of the right distribution."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from policies import Mixture, PlackettLuce
from policies.bandits.draws import Draws
from policies.rules.slate_states import CapState
from policies.slates import row_streams, sequential
from policies.slates.distributions import SlateDistribution
from policies.slates.row_streams import RowStreams, stream_keys
from policies.slates.sequential import Sequential, adjusted

B, C, K = 40, 7, 3
LOGITS = np.random.default_rng(0).normal(size=(B, C))
GROUP = np.arange(C, dtype=np.int32) % 4


def several(logits: np.ndarray) -> dict[str, SlateDistribution]:
    softmax = PlackettLuce(logits, K)
    group = np.broadcast_to(GROUP, logits.shape)
    return {
        "plackett_luce": softmax,
        "mixture": Mixture((softmax, PlackettLuce(-logits, K)), (0.3, 0.7)),
        "sequential": adjusted(softmax, (lambda: CapState(group, 1),)),
        "posterior": Draws(lambda: [logits, -logits, logits**2], logits, K),
    }


@pytest.mark.parametrize("kind", several(LOGITS))
def test_a_row_draws_the_same_alone_and_in_any_batch_and_order(kind: str) -> None:
    keys = stream_keys([f"request {b}" for b in range(B)])
    together = several(LOGITS)[kind].sample(RowStreams(keys))
    order = np.random.default_rng(1).permutation(B)
    turned = several(LOGITS[order])[kind].sample(RowStreams(keys[order]))
    np.testing.assert_array_equal(turned, together[order])
    for b in range(B):
        alone = several(LOGITS[b : b + 1])[kind].sample(RowStreams(keys[b : b + 1]))
        np.testing.assert_array_equal(alone[0], together[b])
    assert len(np.unique(together, axis=0)) > 2


@pytest.mark.parametrize("kind", several(LOGITS))
def test_slates_come_as_often_as_their_propensities_say(kind: str) -> None:
    """Pearson's chi-squared over all ordered slates, at the level of 1e-4."""
    n = 60_000
    d = several(np.broadcast_to(LOGITS[0], (n, C)))[kind]
    drawn = d.sample(RowStreams(stream_keys(map(str, range(n)))))
    slates = np.array(list(permutations(range(C), K)), np.int32)
    every = several(np.broadcast_to(LOGITS[0], (len(slates), C)))[kind]
    p = every.prefix(slates)[:, -1]
    code = drawn @ C ** np.arange(K)
    count = np.array([(code == s @ C ** np.arange(K)).sum() for s in slates])
    assert count.sum() == n
    assert p.sum() == pytest.approx(1)
    assert (count[p == 0] == 0).all()
    some = p > 0
    chi2 = ((count - n * p)[some] ** 2 / (n * p)[some]).sum()
    degrees = some.sum() - 1
    assert chi2 < degrees + 3.72 * np.sqrt(2 * degrees) + 10  # above the 1 - 1e-4 quantile


def test_numbers_of_a_stream_do_not_repeat_and_are_uniform() -> None:
    streams = RowStreams(stream_keys(map(str, range(100))))
    u = np.concatenate([streams.random(size=(100, 50)) for _ in range(4)], axis=1)
    assert len(np.unique(u)) == u.size
    assert 0 < u.min() < u.max() < 1
    assert u.mean() == pytest.approx(0.5, abs=4 * (12 * u.size) ** -0.5)
    near = np.corrcoef(u[:, :-1].ravel(), u[:, 1:].ravel())[0, 1]
    assert abs(near) < 4 * u.size**-0.5


def test_splitmix64_is_the_published_one() -> None:
    """The first three outputs for the seed 1234567 in the reference implementation."""
    u = RowStreams(np.array([1234567], np.uint64)).random(size=(1, 3))[0]
    known = np.array([6457827717110365317, 3203168211198807973, 9817491932198370423], np.uint64)
    np.testing.assert_allclose(u, (known >> np.uint64(11)).astype(float) * 2.0**-53, atol=2**-52)


def test_keys_depend_on_the_secret_and_rows_are_counted() -> None:
    a, b = stream_keys(["r"], secret=b"one"), stream_keys(["r"], secret=b"two")
    assert a != b
    with pytest.raises(ValueError, match="3 rows are drawn from the streams of 1"):
        RowStreams(a).gumbel(size=(3, 2))


def test_no_number_is_0_or_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of the smallest and the largest bits: a Gumbel number is finite."""
    for bits in (0, 2**64 - 1):
        end = np.uint64(bits)
        monkeypatch.setattr(row_streams, "_mixed", lambda z, end=end: np.full_like(z, end))
        streams = RowStreams(stream_keys("ab"))
        u = streams.random(size=(2, 3))
        assert ((u > 0) & (u < 1)).all()
        assert np.isfinite(streams.gumbel(size=(2, 3))).all()


@pytest.mark.parametrize("greedy", [False, True])
def test_all_places_at_once_are_the_same_draws_as_one_after_another(
    greedy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit, with rows that run out of columns before the slate is full."""
    rng = np.random.default_rng(3)
    logits = np.where(rng.random((B, C)) < 0.4, -np.inf, LOGITS)
    logits[2] = -np.inf
    d = Sequential(logits, K + 2, (lambda: CapState(np.tile(GROUP, (B, 1)), 1),), greedy)
    keys = stream_keys([f"request {b}" for b in range(B)])
    slate, prefix = d.drawn(RowStreams(keys))
    monkeypatch.setattr(sequential, "AT_ONCE", 0)
    one_by_one, chances = d.drawn(RowStreams(keys))
    np.testing.assert_array_equal(slate, one_by_one)
    np.testing.assert_array_equal(prefix, chances)
    np.testing.assert_array_equal(slate, d.sample(RowStreams(keys)))
    np.testing.assert_allclose(prefix, d.prefix(slate), rtol=1e-12)
    assert (slate < 0).any()
