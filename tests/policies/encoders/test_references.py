"""What is written by hand equals the NumPy reference in its own docstring."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from itertools import takewhile
from typing import Any

import numpy as np
import torch

from policies.encoders.nets import packed, recurrence
from policies.encoders.training import losses

RNG = np.random.default_rng(0)


def reference(document: str | None, name: str) -> Callable[..., Any]:
    """The function in the indented block of a docstring that follows '::'."""
    assert document is not None
    lines = document.split("::\n\n", 1)[1].splitlines()
    indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
    block = takewhile(lambda line: not line or line.startswith(indent), lines)
    scope: dict[str, Any] = {"np": np}
    exec(textwrap.dedent("\n".join(block)), scope)
    function: Callable[..., Any] = scope[name]
    return function


def test_the_recurrence() -> None:
    sizes, dim = [4, 4, 2, 1], 3
    inputs, weight, bias = (
        RNG.standard_normal(shape) for shape in ((11, 3 * dim), (3 * dim, dim), 3 * dim)
    )
    expected = reference(recurrence.__doc__, "gru")(inputs, weight, bias, sizes)
    states = recurrence.gru(*map(torch.from_numpy, (inputs, weight, bias)), sizes)
    np.testing.assert_allclose(states.numpy(), expected, rtol=1e-10)


def test_packed_attention() -> None:
    offsets = np.array([0, 5, 6, 13, 16])
    batch = packed.pack(np.arange(16, dtype=np.int32), offsets[:-1], offsets[1:])
    q, k, v = RNG.standard_normal((3, 16, 2, 4))
    first = np.arange(16) - batch.position.numpy()
    expected = reference(packed.__doc__, "causal_attention")(q, k, v, first, 3)
    attended = packed.causal_attention(*map(torch.from_numpy, (q, k, v)), batch, 3)
    np.testing.assert_allclose(attended.numpy(), expected, rtol=1e-10)


def test_the_sampled_softmax() -> None:
    hidden, items = RNG.standard_normal((6, 3)), RNG.standard_normal((9, 3))
    target, negatives = np.array([0, 3, 8, 5, 3, 1]), np.array([3, 7, 0, 4])
    weight = np.full(4, np.log(9 / 4))
    expected = reference(losses.sampled_softmax.__doc__, "sampled_softmax")(
        hidden, items, target, negatives, weight
    )
    arrays = (hidden, items, target, negatives, weight)
    loss = losses.sampled_softmax(*map(torch.from_numpy, arrays))
    np.testing.assert_allclose(loss.item(), expected, rtol=1e-10)
