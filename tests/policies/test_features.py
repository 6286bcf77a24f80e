"""The state and the item table that agents act on."""

import gymnasium
import numpy as np

import recsim_env  # noqa: F401  (registers the environments)
from policies import ENCODERS, build, collect, consumed_sequences, serving_of
from policies.features import item_table, state_features
from policies.observation import observation_of_log


def test_as_one_the_encoder_weighs_as_much_as_one_feature() -> None:
    env = gymnasium.make_vec("recsim_env/Longplay-v0", num_envs=32)
    serving = serving_of(env)
    log = collect(env, build("uniform", env), n_sessions=60, seed=0)
    sequences = consumed_sequences(log, item_features=serving.item_features)
    assert sequences.item_features is serving.item_features
    encoder = ENCODERS["gru4rec"](dim=16, length=8, epochs=1).fit(sequences)
    obs = observation_of_log(log, serving)
    plain, one = (
        state_features(serving, encoder, clip=1e9).fitted(obs, as_one=choice)(obs)
        for choice in (False, True)
    )
    np.testing.assert_allclose(one[:, :16] * 4, plain[:, :16], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(one[:, 16:], plain[:, 16:])
    assert np.isclose(one[:, :16].var(axis=0).sum(), 1.0, atol=1e-3)
    tables = [item_table(serving, encoder, log, as_one=choice) for choice in (False, True)]
    block = slice(serving.item_features.shape[1], serving.item_features.shape[1] + 16)
    np.testing.assert_allclose(tables[1][:, block] * 4, tables[0][:, block], rtol=1e-5, atol=1e-6)
    assert np.isclose(tables[1][:, block].var(axis=0).sum(), 1.0, atol=1e-3)
    rest = np.ones(tables[0].shape[1], bool)
    rest[block] = False
    np.testing.assert_array_equal(tables[1][:, rest], tables[0][:, rest])
