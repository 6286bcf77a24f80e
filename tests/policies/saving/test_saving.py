"""Policies on disk: nothing runs at loading, nothing of another world is taken for one's own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

from offpolicy import LoggedDataset
from policies import (
    ENCODERS,
    Exploration,
    Observation,
    Saved,
    ScorePolicy,
    Serving,
    build,
    collect,
    consumed_sequences,
    load,
    observation_of,
    save,
    serving_of,
)
from policies.saved import generator_array, generator_from_array
from tests.factories import make_env


def probabilities(policy: Any, obs: Observation) -> np.ndarray[Any, Any]:
    """What its slates are made of: logits where it has them, else the ranking of all columns."""
    d = policy.distribution(obs)
    return np.asarray(getattr(d, "scores", d.first_place()))


@dataclass(slots=True)
class Ours:
    """A scorer that no registry knows."""

    serving: Serving
    weight: np.ndarray[Any, Any]

    def scores(self, obs: Observation) -> np.ndarray[Any, Any]:
        assert obs.candidates is not None
        return self.weight[obs.candidates]

    def update(self, log: LoggedDataset) -> dict[str, float]:
        return {}

    def saved(self) -> Saved:
        return Saved(arrays={"weight": self.weight})

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        return cls(serving, saved.arrays["weight"])


def test_a_class_of_ones_own_is_named_by_the_loader_not_by_the_file(tmp_path: Path) -> None:
    mine = ScorePolicy(Ours(serving_of(make_env()), np.arange(30.0)), Exploration(epsilon=0.25))
    save(mine, tmp_path / "it")
    with pytest.raises(ValueError, match=r"in no module of POLICIES.*kinds=\(Ours,\)"):
        load(tmp_path / "it")
    back = load(tmp_path / "it", kinds=[Ours])
    assert isinstance(back, ScorePolicy)
    assert back.exploration == mine.exploration
    assert isinstance(back.score_model, Ours)


def test_a_file_cannot_have_any_function_called(tmp_path: Path) -> None:
    save(build("uniform", make_env()), tmp_path / "it")
    file = tmp_path / "it" / "config.json"
    for name in ("os.system", "uniform/uniform", "uniform/np", "uniform/Savable", "os/system"):
        about = json.loads(file.read_text())
        about["policy"][0]["kind"] = name
        file.write_text(json.dumps(about))
        with pytest.raises(ValueError, match=f"holds a {name}"):
            load(tmp_path / "it")


def test_what_cannot_be_saved_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    class Silent:
        serving = serving_of(make_env(1))

    with pytest.raises(ValueError, match="Silent cannot be saved: give it `saved"):
        save(Silent(), tmp_path / "it")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def tree(folder: Path) -> dict[str, bytes | None]:
    """All that lies in a folder: files with their bytes, everything else without."""
    return {
        str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None
        for p in folder.rglob("*")
    }


@pytest.mark.parametrize(
    ("mine", "saved"),
    [
        ("it", False),
        ("it/notes.txt", False),
        ("it/config.json", False),
        ("it/notes.txt", True),
        ("it/encoder-1/notes.txt", True),
        ("it/encoder-2/notes.txt", True),
        ("it/other/config.json", True),
    ],
)
def test_what_no_save_wrote_is_not_replaced(mine: str, saved: bool, tmp_path: Path) -> None:
    if saved:
        save(build("greedy_encoder", make_env()), tmp_path / "it")  # with encoder-1
    (tmp_path / mine).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / mine).write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(FileExistsError, match=r"it is no saved policy.* another path"):
        save(build("uniform", make_env()), tmp_path / "it")
    assert tree(tmp_path) == before


def test_a_model_of_another_kind_is_not_replaced(tmp_path: Path) -> None:
    save(build("greedy_encoder", make_env()), tmp_path / "it")
    foreign = tmp_path / "theirs"
    foreign.mkdir()
    (foreign / "config.json").write_text('{"model_type": "bert"}')
    (foreign / "weights.safetensors").write_bytes(b"theirs")
    before = tree(tmp_path)
    for other in (foreign, tmp_path / "it" / "encoder-1"):
        with pytest.raises(FileExistsError, match="is no saved policy"):
            save(build("uniform", make_env()), other)
    assert tree(tmp_path) == before


def test_a_link_to_nothing_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "it").symlink_to(tmp_path / "gone")
    with pytest.raises(FileExistsError, match="no saved"):
        save(build("uniform", make_env()), tmp_path / "it")
    assert [p.name for p in tmp_path.iterdir()] == ["it"]


def test_an_empty_folder_and_an_earlier_save_are_replaced_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "it").mkdir()
    save(build("greedy_encoder", make_env()), tmp_path / "it")
    assert (tmp_path / "it" / "encoder-1").is_dir()
    save(build("uniform", make_env()), tmp_path / "it")
    assert sorted(tree(tmp_path)) == ["it", "it/config.json", "it/weights.safetensors"]
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    save(build("uniform", make_env()), ".")
    assert len(tree(tmp_path)) == 6
    assert load(tmp_path / "here").serving.n_items == 30


def test_another_world_is_refused_by_what_differs(tmp_path: Path) -> None:
    save(build("popularity", make_env()), tmp_path / "it")
    with pytest.raises(ValueError, match="slate_size 2, not 3"):
        load(tmp_path / "it", serving=serving_of(make_env(slate_size=3)))
    same = serving_of(make_env())
    other = Serving(
        **{
            name: getattr(same, name)
            for name in ("n_items", "slate_size", "history_length", "n_candidates", "user_size")
        },
        response_names=same.response_names,
        item_features=same.item_features[::-1],
    )
    with pytest.raises(ValueError, match="other features"):
        load(tmp_path / "it", serving=other)


def test_the_encoder_travels_with_the_policy(tmp_path: Path) -> None:
    env = make_env()
    log = collect(env, build("uniform", env), n_sessions=60, seed=0)
    encoder = ENCODERS["markov"]().fit(consumed_sequences(log))
    policy = build("linucb", env, encoder=encoder)
    policy.update(log)
    save(policy, tmp_path / "it")
    obs = observation_of(env.reset(seed=3)[0])
    for _ in range(3):
        obs = observation_of(env.step(np.tile([0, 1], (16, 1)))[0])
    back = load(tmp_path / "it").distribution(obs)
    np.testing.assert_array_equal(back.ranking(6), policy.distribution(obs).ranking(6))
    other = ENCODERS["markov"](decay=0.5).fit(consumed_sequences(log))
    from policies.saving import checkpoint

    known = checkpoint.Catalogue("it", 30)
    checkpoint.save(other, tmp_path / "it" / "encoder-1", catalogue=known)
    with pytest.raises(ValueError, match="not the encoder that the policy was saved with"):
        load(tmp_path / "it")


def test_altered_weights_and_encoder_folders_are_refused(tmp_path: Path) -> None:
    save(build("popularity", make_env()), tmp_path / "it")
    file = tmp_path / "it" / "weights.safetensors"
    whole = bytearray(file.read_bytes())
    whole[-1] ^= 1
    file.write_bytes(whole)
    with pytest.raises(ValueError, match=r"is not the file that config\.json was written with"):
        load(tmp_path / "it")
    save(build("greedy_encoder", make_env()), tmp_path / "two")
    with pytest.raises(ValueError, match="holds an encoder"):
        load(tmp_path / "two" / "encoder-1")


def test_a_generator_goes_on_where_it_stood() -> None:
    rng = np.random.default_rng(5)
    rng.integers(10, size=3, dtype=np.int32)  # leaves half a word behind
    again = generator_from_array(generator_array(rng))
    np.testing.assert_array_equal(rng.integers(1000, size=9), again.integers(1000, size=9))
    np.testing.assert_array_equal(rng.normal(size=9), again.normal(size=9))


@pytest.mark.parametrize("name", ["ppo"])
def test_a_trained_agent_serves_and_learns_on_as_if_it_had_never_been_saved(
    name: str, tmp_path: Path
) -> None:
    env = make_env()
    agent: Any = build(name, env)
    agent.learn(env, total_steps=512, seed=0)
    save(agent, tmp_path / "it")
    back: Any = load(tmp_path / "it")
    obs = observation_of(env.reset(seed=3)[0])
    first = probabilities(agent, obs)
    np.testing.assert_array_equal(probabilities(back, obs), first)
    for one in (agent, back):
        one.learn(env, total_steps=512, seed=1)
    second = probabilities(agent, obs)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(probabilities(back, obs), second)
    np.testing.assert_equal(back.saved().arrays, agent.saved().arrays)
    assert back.steps == agent.steps == 1024


def test_a_zip_is_read_only_when_it_is_trusted(tmp_path: Path) -> None:
    env = make_env()
    agent: Any = build("ppo", env, learning_rate=0.01, decay_steps=2048, gae_lambda=0.9)
    agent.learn(env, total_steps=512, seed=0)
    agent.model.save(tmp_path / "it.zip")
    with pytest.raises(ValueError, match="pickled code that runs when it is read"):
        load(tmp_path / "it.zip")
    back = load(tmp_path / "it.zip", trust=True)
    obs = observation_of(env.reset(seed=3)[0])
    np.testing.assert_array_equal(
        back.distribution(obs).first_place(), agent.distribution(obs).first_place()
    )
    assert (back.config, back.steps) == (agent.config, 512)
    save(agent, tmp_path / "folder")
    for one in (back, load(tmp_path / "folder")):  # the step size goes on falling where it stood
        one.learn(env, total_steps=512, seed=1)  # type: ignore[attr-defined]
        [group] = one.model.policy.optimizer.param_groups  # type: ignore[attr-defined]
        assert group["lr"] == pytest.approx(0.01 * (1 - 0.9 * 1024 / 2048))


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize("name", ["nope.zip", "nope"])
def test_a_path_where_nothing_is_is_named_as_it_is(name: str, trust: bool, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=rf"{name} is not"):
        load(tmp_path / name, trust=trust)


def test_a_folder_that_is_called_a_zip_is_still_a_folder(tmp_path: Path) -> None:
    save(build("uniform", make_env()), tmp_path / "it.zip")
    assert load(tmp_path / "it.zip").serving.n_items == 30


def test_a_zip_of_an_older_kind_is_refused_by_name(tmp_path: Path) -> None:
    env = make_env()
    agent: Any = build("ppo", env)
    agent.learn(env, total_steps=256, seed=0)
    kwargs = agent.model.policy_kwargs
    kwargs["about"] = kwargs.pop("metadata")  # as it was called before
    agent.model.save(tmp_path / "it.zip")
    with pytest.raises(ValueError, match="older Longplay"):
        load(tmp_path / "it.zip", trust=True)


def test_a_chain_that_version_0_2_wrote_is_loaded(tmp_path: Path) -> None:
    env = make_env()
    old = tmp_path / "it"
    policy = build("softmax_encoder", env, temperature=3.0)
    save(policy, old)
    file = old / "config.json"
    about = json.loads(file.read_text())
    for node in about["policy"]:
        for name in ("inner", "parts", "encoder_at"):
            del node[name]
    file.write_text(json.dumps(about | {"format": 2}))
    obs, _ = env.reset(seed=3)
    seen = observation_of(obs)
    np.testing.assert_array_equal(probabilities(load(old), seen), probabilities(policy, seen))
