"""How a network learns: the settings of all trained encoders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, get_args

Loss = Literal["sampled", "full", "bce", "gbce"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How a network learns; encoders add their sizes to it, and say which are small (`SMALL`)."""

    SMALL: ClassVar[Mapping[str, Any]] = {}
    length: int = 50  # W: events a prediction can look back at, and of a training window
    epochs: int = 20  # passes over all events
    batch_tokens: int = 4000  # targets per step
    lr: float = 1e-3  # peak: reached after `warmup`, then down to a tenth along a cosine
    warmup: float = 0.02  # share of all steps
    weight_decay: float = 0.0
    averaging: float = 0.0  # share that the running mean of the weights keeps at a step; 0: no mean
    temperature: float | None = None  # scores are cosines over it; None: plain products
    loss: Loss = "sampled"
    negatives: int = 256  # shared by the batch (sampled), or of each target (bce, gbce)
    calibration: float = 0.75  # t of gbce
    patience: int = 10  # epochs without a better validation score before stopping
    bf16: bool = False  # matrix products in bfloat16: pays where the CPU has units for it
    seed: int = 0
    threads: int = 1  # torch threads while learning and while scoring
    device: str = "auto"  # where to learn; auto: the GPU if torch finds one (never tried on one)

    @classmethod
    def small(cls, *, length: int, seed: int, threads: int = 1) -> Self:
        """Sizes for a simulator: small enough that the simulator, not the encoder, is the cost."""
        return cls(length=length, epochs=15, seed=seed, threads=threads, **cls.SMALL)

    def __post_init__(self) -> None:
        sizes = (self.length, self.epochs, self.batch_tokens, self.negatives, self.threads)
        if min(sizes) < 1 or self.lr <= 0 or not 0 < self.warmup < 1:
            raise ValueError(f"sizes and lr must be positive, 0 < warmup < 1: {self}")
        if not 0 <= self.averaging < 1:
            raise ValueError(f"need 0 <= averaging < 1: {self}")
        if self.temperature is not None and self.temperature <= 0:
            raise ValueError(f"temperature must be positive or None: {self}")
        if self.loss not in get_args(Loss):
            raise ValueError(f"no loss {self.loss!r}; there are {', '.join(get_args(Loss))}")
