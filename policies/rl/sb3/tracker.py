"""A sequence encoder that an agent trains end to end from its reward, for supervised ones to beat.

GRU4Rec's recurrence (Hidasi et al., 2016) over items of its own embedding, as state trackers of
published reinforcement learners are (e.g. Xin et al., 2020).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Tracker(nn.Module):
    """(B, D) whose first `trail` numbers are item ids, -1 = none -> (B, D - trail + size)."""

    def __init__(self, n_items: int, trail: int, size: int) -> None:
        super().__init__()
        self.trail = trail
        self.items = nn.Embedding(n_items + 1, size, padding_idx=0)
        self.cell = nn.GRU(size, size, batch_first=True)

    def forward(self, state: Tensor) -> Tensor:
        """The GRU's last state stands where the ids were; empty places come first and are skipped
        as zeros."""
        ids = state[:, : self.trail].long() + 1  # (B, H)
        seen, _ = self.cell(self.items(ids))  # (B, H, size)
        return torch.cat([seen[:, -1], state[:, self.trail :]], dim=1)
