"""Folders that version 0.1 saved, one of each kind, still load and serve what they served then."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from policies import ENCODERS, POLICIES, Observation, load, save
from policies.saving import checkpoint

FOLDER = Path(__file__).parent / "saved_0_1"
WRITTEN = sorted(p.name for p in (FOLDER / "policies").iterdir())


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    with np.load(FOLDER / "expected.npz") as arrays:
        return dict(arrays)


def observed(expected: dict[str, np.ndarray]) -> Observation:
    names = ("history_items", "history_responses", "user", "candidates")
    return Observation(**{name: expected[name] for name in names})


@pytest.mark.parametrize("name", WRITTEN)
def test_a_policy_of_0_1_serves_equal_probabilities(
    name: str, expected: dict[str, np.ndarray], tmp_path: Path
) -> None:
    policy = load(FOLDER / "policies" / name)
    slates = policy.distribution(observed(expected))
    first, prefix = expected[f"policy.{name}.first_place"], expected[f"policy.{name}.prefix"]
    np.testing.assert_allclose(slates.first_place(), first, rtol=1e-5, atol=1e-7)
    shown = np.tile(np.array([[1, 2]], np.int32), (len(first), 1))
    np.testing.assert_allclose(slates.prefix(shown), prefix, rtol=1e-5, atol=1e-7)
    save(policy, tmp_path / "again")  # in today's format, which names no module
    kinds = [
        n["kind"] for n in json.loads((tmp_path / "again" / "config.json").read_text())["policy"]
    ]
    assert all("/" in kind and not kind.startswith("policies.") for kind in kinds), kinds
    again = load(tmp_path / "again").distribution(observed(expected))
    np.testing.assert_array_equal(again.first_place(), slates.first_place())


@pytest.mark.parametrize("name", sorted(p.name for p in (FOLDER / "encoders").iterdir()))
def test_an_encoder_of_0_1_gives_equal_scores(name: str, expected: dict[str, np.ndarray]) -> None:
    encoder = checkpoint.load(FOLDER / "encoders" / name)
    scores = encoder.scores(expected["history_items"])
    np.testing.assert_allclose(scores, expected[f"encoder.{name}"], rtol=1e-5, atol=1e-6)


def test_every_kind_of_0_1_is_there() -> None:
    assert set(WRITTEN) >= POLICIES.keys() - NEW
    assert {p.name for p in (FOLDER / "encoders").iterdir()} >= ENCODERS.keys() - NEW


# what the registries gained after 0.1
NEW = {"one_step", "fitted_q", "item_return", "searched_rule", "filter", "mixture"}
