"""The running mean of the weights: by hand, inside and outside, and what is kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from policies.encoders import ENCODERS, Sequences, leave_one_out
from policies.encoders.evaluate import ndcg
from policies.encoders.training.averaging import averaged, update_average


def test_the_mean_by_hand() -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = torch.optim.AdamW([weight], lr=1e-9, weight_decay=0.0)
    for value in (1.0, 2.0, 6.0):
        weight.grad = torch.zeros(1)
        optimizer.step()
        weight.data.fill_(value)
        update_average(optimizer, decay=0.2)
    # after n = 1, 2, 3 steps the decay is min(.2, (1 + n) / (10 + n)) = 2/11, .2, .2
    wanted = 0.2 * (0.2 * 1.0 + 0.8 * 2.0) + 0.8 * 6.0
    with averaged(optimizer):
        assert weight.item() == pytest.approx(wanted)
    assert weight.item() == 6.0


def test_weights_that_no_step_moved_stay_themselves() -> None:
    weight = torch.nn.Parameter(torch.tensor([3.0]))
    optimizer = torch.optim.AdamW([weight])
    optimizer.step()  # it has no gradient
    update_average(optimizer, decay=0.9)
    with averaged(optimizer):
        assert weight.item() == 3.0


def test_what_is_validated_and_kept_is_the_mean() -> None:
    rng = np.random.default_rng(0)
    lists = [(rng.integers(20) + np.arange(rng.integers(4, 20))) % 20 for _ in range(60)]
    split = leave_one_out(Sequences.from_lists(lists, n_items=20))
    small = {"dim": 16, "length": 8, "epochs": 4, "batch_tokens": 100, "lr": 0.01, "patience": 9}
    last, mean = (ENCODERS["sasrec"](**small, averaging=a) for a in (0.0, 0.9))
    last.fit(split.train), mean.fit(split.train)
    assert [e.loss for e in last.curve] == [e.loss for e in mean.curve]  # the same steps
    assert not np.allclose(last.item_vectors, mean.item_vectors, atol=1e-3)
    judged = ENCODERS["sasrec"](**small, averaging=0.9).fit(split.train, valid=split.valid)
    assert ndcg(judged, split.valid) == max(e.score for e in judged.curve)


def test_a_share_outside_0_to_1_is_refused() -> None:
    with pytest.raises(ValueError, match="need 0 <= averaging < 1"):
        ENCODERS["gru4rec"](averaging=1.0)
