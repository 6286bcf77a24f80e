"""The written-out GRU is torch's own, forwards, backwards and one step at a time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from policies.encoders.nets.recurrence import gru, gru_step

SIZES = [5, 5, 3, 1]  # sequences of 4, 3, 3, 2 and 2 events
DIM = 6


def torch_gru() -> nn.GRU:
    torch.manual_seed(0)
    return nn.GRU(DIM, DIM, dtype=torch.float64)


def ours(layer: nn.GRU, events: Tensor) -> Tensor:
    inputs = nn.functional.linear(events, layer.weight_ih_l0, layer.bias_ih_l0)
    return gru(inputs, layer.weight_hh_l0, layer.bias_hh_l0, SIZES)


def torchs(layer: nn.GRU, events: Tensor) -> Tensor:
    packed = nn.utils.rnn.PackedSequence(events, torch.tensor(SIZES))
    states: Tensor = layer(packed)[0].data
    return states


def test_states_and_all_gradients_are_those_of_torch() -> None:
    results = []
    for states_of in (ours, torchs):
        layer = torch_gru()
        events = torch.randn(sum(SIZES), DIM, dtype=torch.float64, requires_grad=True)
        events.data.copy_(torch.arange(events.numel()).view_as(events).sin())
        states = states_of(layer, events)
        (states * torch.arange(states.numel()).view_as(states).cos()).sum().backward()
        results.append([states, events.grad, *(p.grad for p in layer.parameters())])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_step_by_step_gives_the_same_states() -> None:
    layer, events = torch_gru(), torch.randn(sum(SIZES), DIM, dtype=torch.float64)
    whole, state, first = ours(layer, events), torch.zeros(SIZES[0], DIM, dtype=torch.float64), 0
    for size in SIZES:
        now = events[first : first + size]
        inputs = nn.functional.linear(now, layer.weight_ih_l0, layer.bias_ih_l0)
        state = gru_step(inputs, layer.weight_hh_l0, layer.bias_hh_l0, state[:size])
        torch.testing.assert_close(state, whole[first : first + size], rtol=1e-10, atol=1e-12)
        first += size
