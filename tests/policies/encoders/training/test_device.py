"""Learning on another device: no step mixes devices, and the learnt network comes back.

No GPU is needed: PyTorch's `meta` device computes shapes alone and stands for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from policies.encoders import ENCODERS, Sequences
from policies.encoders.models.neural import NeuralEncoder
from policies.encoders.training.parallel import ProcessGroup
from policies.encoders.training.train import batches, chosen_device, loss_of

MOVES = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}


class OneDevice(TorchDispatchMode):
    """Refuses every operation whose tensors lie on different devices; single numbers may."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        tensors = [x for x in tree_leaves((args, named)) if isinstance(x, torch.Tensor)]
        devices = {x.device.type for x in tensors if x.dim()}
        self.seen |= devices
        assert func in MOVES or len(devices) < 2, f"{func} mixes {devices}"
        return func(*args, **named)


def data() -> Sequences:
    rng = np.random.default_rng(0)
    lists = [(rng.integers(20) + np.arange(rng.integers(4, 20))) % 20 for _ in range(60)]
    return Sequences.from_lists(lists, n_items=20)


def build(name: str, **settings: Any) -> NeuralEncoder:
    small = {"dim": 16, "length": 8, "batch_tokens": 200, "negatives": 8, "epochs": 1}
    made = ENCODERS[name](**small | settings)
    assert isinstance(made, NeuralEncoder)
    return made


@pytest.mark.parametrize("loss", ["sampled", "full", "gbce"])
@pytest.mark.parametrize("name", ["gru4rec", "sasrec", "esasrec", "bert4rec", "average", "filter"])
def test_a_learning_step_stays_on_the_networks_device(name: str, loss: str) -> None:
    made, sequences = build(name, loss=loss), data()
    made._build(20, sequences.counts())
    network = made._net.to("meta").train()
    rng = np.random.default_rng(0)
    batch = next(batches(network, sequences, made.config, rng, ProcessGroup()))
    with OneDevice() as watch:
        loss_of(network, batch, made.config).backward()  # type: ignore[no-untyped-call]
    assert "meta" in watch.seen
    assert all(p.grad is not None and p.grad.is_meta for p in network.parameters())


def test_the_watch_notices_a_mixture() -> None:
    with OneDevice(), pytest.raises(AssertionError, match="mixes"):
        torch.empty(3, 4, device="meta").index_select(0, torch.zeros(2, dtype=torch.int64))


@pytest.mark.parametrize(("there", "wanted"), [(True, "cuda"), (False, "cpu")])
def test_auto_is_the_gpu_where_there_is_one(
    there: bool, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert chosen_device("auto").type == wanted
    assert chosen_device("cpu").type == "cpu"


def test_the_network_is_moved_before_learning_and_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    devices_seen: list[str] = []
    original = torch.nn.Module.to

    def to(self: torch.nn.Module, device: Any) -> torch.nn.Module:
        devices_seen.append(str(torch.device(device)))
        return original(self, device)

    monkeypatch.setattr(torch.nn.Module, "to", to)
    made = build("sasrec", device="cpu:0").fit(data())
    assert devices_seen == ["cpu:0", "cpu"]
    assert made.encode(np.array([[1, 2]])).any()
