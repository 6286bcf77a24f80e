"""Settings that no encoder can have: fractions of what is counted, and what is no number."""

from __future__ import annotations

from typing import Any

import pytest

from policies import ENCODERS

NAN = float("nan")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("popularity", {"window": NAN}),
        ("popularity", {"tail": 1.5}),
        ("popularity", {"prior": 0.0}),
        ("markov", {"skip": 2.5}),
        ("markov", {"smoothing": NAN}),
        ("markov", {"decay": 1.5}),
        ("average", {"dim": 2.5}),
        ("gru4rec", {"hidden": 2.5}),
        ("gru4rec", {"dropout": NAN}),
        ("sasrec", {"blocks": 1.5}),
        ("sasrec", {"heads": 0}),
        ("esasrec", {"widen": True}),
        ("bert4rec", {"masked": NAN}),
        ("filter", {"blocks": 1.5}),
        ("filter", {"dropout": NAN}),
        ("mixture", {"share": NAN}),
        ("mixture", {"pool": "mean"}),
    ],
)
def test_it_is_refused_by_name(name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ENCODERS[name](**wrong)
