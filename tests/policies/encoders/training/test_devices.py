"""Where encoders learn: a device that torch does not have is refused before anything is learnt."""

from __future__ import annotations

import pytest
import torch

from policies.encoders.training.train import chosen_device


@pytest.mark.parametrize("name", ["abc", "cuda:-1", ""])
def test_a_device_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"device = .*; auto and cpu are always there"):
        chosen_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    assert chosen_device("auto") == torch.device("cpu")
    with pytest.raises(ValueError, match="device = 'cuda'"):
        chosen_device("cuda")
