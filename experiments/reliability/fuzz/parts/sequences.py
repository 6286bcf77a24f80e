"""Encoders: every entry of ENCODERS, and the door of sequences."""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from typing import Any

import numpy as np
from numpy.random import Generator

from experiments.reliability.fuzz.calls import Target
from experiments.reliability.fuzz.odd import Arguments, Made
from experiments.reliability.fuzz.parts.material import QUICK, A, H, fitted, lists, settings_of
from policies import ENCODERS, Sequences
from policies.encoders import encoder, global_time, leave_one_out


def targets() -> list[Target]:
    """Doors of every encoder, and of sequences."""
    return [t for name in sorted(ENCODERS) for t in _doors(name)] + _sequences()


def _doors(name: str) -> list[Target]:
    return [
        Target(
            name=f"{name}.scores",
            given=_histories,
            check=_finite,
            call=lambda histories: fitted(name).scores(histories),
        ),
        Target(
            name=f"{name}.encode",
            given=_histories,
            check=_finite,
            call=lambda histories: fitted(name).encode(histories),
        ),
        Target(name=f"{name}.step", given=_steps, call=partial(stepped, name), check=_finite),
        Target(
            name=f"{name}.build",
            given=partial(_config, name),
            call=lambda **settings: encoder(name, **settings),
        ),
        Target(
            name=f"{name}.fit",
            given=lambda rng: {"sequences": _made(rng)},
            call=lambda sequences: _small(name).fit(sequences).scores(np.full((1, 2), -1)),
            check=_finite,
        ),
    ]


def _small(name: str) -> Any:
    config = ENCODERS[name].config({}).__class__
    return encoder(name, **settings_of(config, QUICK | {"length": 6}))


def _histories(rng: Generator) -> Arguments:
    items = rng.integers(-1, A, (int(rng.integers(1, 4)), int(rng.integers(1, 2 * H))))
    return {"histories": items}


def _steps(rng: Generator) -> Arguments:
    n = int(rng.integers(1, 4))
    return {"batch": n, "items": rng.integers(-1, A, n)}


def stepped(name: str, batch: Any, items: Any) -> Any:
    """Scores after one more event of each user."""
    one = fitted(name)
    return one.state_scores(one.step(one.initial_state(batch), items))


def _config(name: str, rng: Generator) -> Arguments:
    config = ENCODERS[name].config({})
    names = [f.name for f in fields(config) if getattr(config, f.name) is not None]
    few = rng.choice(sorted(names), size=2, replace=False).tolist()
    return {k: getattr(config, k) for k in few}


def _finite(x: Any) -> str | None:
    return None if np.isfinite(x).all() else "not finite"


def _made(rng: Generator) -> Made:
    made = Sequences.from_lists(lists(rng), n_items=A)
    given: Arguments = {
        "items": made.items,
        "offsets": made.offsets,
        "n_items": A,
        "times": np.arange(len(made.items)) * 1.0,
        "rewards": rng.random(len(made.items)).astype(np.float32),
        "users": np.arange(len(made)),
        "item_features": rng.random((A, 2)).astype(np.float32),
    }
    optional = ("times", "rewards", "users", "item_features")
    return Made(
        Sequences, {k: v for k, v in given.items() if k not in optional or rng.random() < 0.5}
    )


def _events(rng: Generator) -> Arguments:
    n = int(rng.integers(1, 30))
    return {
        "user": rng.integers(0, 5, n),
        "item": rng.integers(0, A, n),
        "n_items": A,
        "time": rng.random(n) * 1e9,
        "reward": rng.random(n),
    }


def _sequences() -> list[Target]:
    def two(rng: Generator) -> Arguments:
        return {"lists": lists(rng)[:5], "n_items": A, "users": np.arange(5)}

    return [
        Target(name="Sequences", given=lambda rng: {"one": _made(rng)}, call=lambda one: one),
        Target(name="Sequences.from_lists", given=two, call=Sequences.from_lists),
        Target(name="Sequences.from_events", given=_events, call=Sequences.from_events),
        Target(
            name="leave_one_out", given=lambda rng: {"sequences": _made(rng)}, call=leave_one_out
        ),
        Target(
            name="global_time",
            given=lambda rng: {"sequences": _made(rng), "valid": 0.8, "test": 0.9},
            call=global_time,
        ),
    ]
