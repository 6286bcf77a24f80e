"""The rows that every table needs, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy import LoggedDataset
from policies import ENCODERS, Observation, Sequences, consumed_sequences
from policies.baselines.encoder_ranking import greedy_encoder, softmax_encoder
from policies.baselines.popularity import popularity
from policies.baselines.top_rated import top_rated
from policies.observation import columns_of, items_of
from tests.factories import make_observation, make_serving

SERVING = make_serving(5, n_candidates=3, user_size=0, response_names=("click", "quality"))
LOG = LoggedDataset.from_columns(
    session=[0, 0, 1, 1], step=[0, 1, 0, 1], slate=[[0, 1], [2, 3], [1, 4], [1, 2]],
    propensity=[0.5] * 4, reward=[1.0] * 4, n_items=5, consumed=[1, 2, -1, 1],
    responses=[[1, 0.9], [1, 0.1], [0, 0], [1, 0.7]],
    candidates=[[0, 1, 2], [2, 3, 4], [1, 4, 0], [1, 2, 3]],
)  # fmt: skip


def obs_of(candidates: list[list[int]], history: list[list[int]]) -> Observation:
    nobody = np.zeros((len(history), 0))
    return make_observation(history, user=nobody, candidates=candidates, n_responses=2)


OBS = obs_of([[0, 1, 2], [4, 2, 3]], [[-1, -1, -1], [-1, -1, 1]])


def test_popularity_counts_sequences_and_then_logs() -> None:
    policy = popularity(SERVING, sequences=Sequences.from_lists([[3, 3, 4]], n_items=5))
    assert policy.distribution(OBS).sample(np.random.default_rng(0)).tolist() == [[0, 1], [2, 0]]
    policy.update(LOG)  # consumed 1 twice, 2 once
    assert policy.distribution(OBS).sample(np.random.default_rng(0)).tolist() == [[1, 2], [2, 0]]


def test_recent_popularity_forgets_a_share_with_every_log() -> None:
    policy = popularity(SERVING, sequences=Sequences.from_lists([[3, 3, 4]], n_items=5), keep=0.25)
    policy.update(LOG)  # 3 twice and 4 once a log ago; now 1 twice, 2 once
    np.testing.assert_allclose(policy.score_model.counts, [0, 2, 1, 0.5, 0.25])  # type: ignore[attr-defined]
    assert policy.distribution(OBS).sample(np.random.default_rng(0)).tolist() == [[1, 2], [1, 2]]
    with pytest.raises(ValueError, match="keep is 2"):
        popularity(SERVING, keep=2.0)


def test_top_rated_ranks_shrunk_means() -> None:
    policy = top_rated(SERVING, prior=1.0)
    policy.update(LOG)
    scores = policy.score_model.scores(obs_of([[0, 1, 2]], [[-1, -1, -1]]))[0]
    mean = (0.9 + 0.7 + 0.1) / 3
    rated = np.array([mean, (1.6 + mean) / 3, (0.1 + mean) / 2, mean, mean])
    expected = (rated - rated.mean()) / rated.std()
    np.testing.assert_allclose(scores, expected[:3], rtol=1e-5)
    with pytest.raises(ValueError, match="no response 'joy'; it shows click, quality"):
        top_rated(SERVING, response="joy")


def test_sequences_of_a_log_are_what_each_session_took() -> None:
    assert [list(s) for s in consumed_sequences(LOG)] == [[1, 2], [1]]


def test_softmax_at_temperature_one_is_the_encoders_own_prediction() -> None:
    encoder = ENCODERS["markov"]().fit(Sequences.from_lists([[0, 1, 2], [0, 2, 4]] * 5, n_items=5))
    p = softmax_encoder(SERVING, encoder=encoder).distribution(OBS).first_place()
    logits = np.take_along_axis(encoder.scores(OBS.history_items), OBS.candidates, axis=1)  # type: ignore[arg-type]
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(p, expected, rtol=1e-5)


def test_an_encoder_of_another_catalogue_is_refused() -> None:
    encoder = ENCODERS["markov"]().fit(Sequences.from_lists([[0, 1]], n_items=2))
    with pytest.raises(ValueError, match="knows 2 items and the environment 5"):
        greedy_encoder(SERVING, encoder=encoder)


def test_without_an_encoder_a_chain_learns_from_each_log() -> None:
    policy = greedy_encoder(SERVING)
    policy.update(LOG)  # 1 was followed by 2
    seen = obs_of([[4, 2, 3]], [[-1, -1, 1]])
    assert policy.distribution(seen).sample(np.random.default_rng(0))[0, 0] == 1


def test_items_and_columns_are_inverse_and_strangers_are_named() -> None:
    action = np.array([[2, 0], [1, -1]], np.int32)
    ids = items_of(OBS, action)
    assert ids.tolist() == [[2, 0], [2, -1]]
    np.testing.assert_array_equal(columns_of(OBS, ids), action)
    with pytest.raises(ValueError, match=r"slate\[1, 0\] = 1 is not among the candidates"):
        columns_of(OBS, np.array([[0, 1], [1, 2]], np.int32))
