"""Saved folders whose hashes fit and whose arrays do not: anybody can compute a hash, and compiled
code checks no bounds. They are refused when they are loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from policies import ENCODERS, Sequences, build, checkpoint, load, save
from tests.factories import make_env

Array = NDArray[Any]
A = 100


def rewritten(folder: Path, change: Callable[[dict[str, Array]], object]) -> None:
    """The folder with other arrays, under a hash that fits them."""
    arrays = load_file(folder / "weights.safetensors")
    change(arrays)
    kept = {name: np.array(array, order="C") for name, array in arrays.items()}
    save_file(kept, folder / "weights.safetensors")
    about = json.loads((folder / "config.json").read_text())
    about["sha256"] = checkpoint.digest(kept)
    (folder / "config.json").write_text(json.dumps(about))


def shorter(array: Array) -> Array:
    return array[:1]


def narrower(array: Array) -> Array:
    return array[..., :2]


def not_finite(array: Array) -> Array:
    return np.full_like(array, np.nan)


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.update(indices=np.full_like(a["indices"], 2**30)),
        lambda a: a.update(indices=np.full_like(a["indices"], -(2**30))),
        lambda a: a["indptr"].__setitem__(slice(1, -1), 2**40),
        lambda a: a.update(data=a["data"][:-1]),
        lambda a: a.update(popularity=a["popularity"][:-1]),
        lambda a: a.update(left=a["left"][:-1]),
        lambda a: a.update(right=a["right"][:, :1]),
    ],
)
def test_markov(change: Callable[[dict[str, Array]], object], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lists = [rng.integers(0, A, 50) for _ in range(60)]
    encoder = ENCODERS["markov"]().fit(Sequences.from_lists(lists, n_items=A))
    checkpoint.save(encoder, tmp_path / "kept", catalogue=checkpoint.Catalogue("x", A))
    rewritten(tmp_path / "kept", change)
    with pytest.raises(ValueError, match=r"kept|indices|indptr|data|of shape"):
        checkpoint.load(tmp_path / "kept")


@pytest.mark.parametrize("arms", ["disjoint", "shared"])
@pytest.mark.parametrize("names", [("inverse", "moment", "theta"), ("inverse",), ("theta",)])
@pytest.mark.parametrize("change", [shorter, narrower, not_finite])
def test_linear_bandits(
    arms: str, names: tuple[str, ...], change: Callable[[Array], Array], tmp_path: Path
) -> None:
    save(build("linucb", make_env(2, n_items=A), arms=arms), tmp_path / "kept")

    def changed(a: dict[str, Array]) -> None:
        for key in a:
            if key.split(".")[-1] in names:
                a[key] = change(a[key])

    if arms == "shared" and change is shorter:
        pytest.skip("there is one regression")
    rewritten(tmp_path / "kept", changed)
    with pytest.raises(ValueError, match=r"regressions|not finite|of shape|inverse"):
        load(tmp_path / "kept")


@pytest.mark.parametrize("name", ["centre", "scale", "axes", "items", "trail", "windows"])
def test_features_of_a_state(name: str, tmp_path: Path) -> None:
    """`trail` and `windows` are lengths: so many items would be looked up for every user."""
    save(build("linucb", make_env(2, n_items=A), arms="shared"), tmp_path / "kept")

    def changed(a: dict[str, Array]) -> None:
        at = next(key for key in a if key.split(".")[-1] == name)
        if a[at].dtype.kind == "f":
            a[at] = a[at][:-1]
        else:
            a[at] = np.full((1,) if name == "windows" else (), 2**30, a[at].dtype)

    rewritten(tmp_path / "kept", changed)
    with pytest.raises(ValueError, match=r"of shape|must lie in|regressions"):
        load(tmp_path / "kept")


def test_what_a_class_trips_over_is_the_folders_fault(tmp_path: Path) -> None:
    save(build("linucb", make_env(2, n_items=A)), tmp_path / "kept")
    rewritten(tmp_path / "kept", lambda a: a.pop("1.theta"))
    with pytest.raises(ValueError, match=r"kept was altered, .* LinUCB cannot be made \(KeyError"):
        load(tmp_path / "kept")
