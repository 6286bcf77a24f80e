"""Random streams in plain Python, one number at a time, as the compiled loops draw them."""

from __future__ import annotations

import math

M64 = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


def mixed(z: int) -> int:
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & M64
    z = (z ^ z >> 27) * 0x94D049BB133111EB & M64
    return z ^ z >> 31


class Stream:
    """The respond stream of one step."""

    def __init__(self, key: int, step: int) -> None:
        self.key, self.counter = key, step * 4 + 1 << 24

    def uniform(self) -> float:
        self.counter += 1
        return (mixed(self.key + self.counter * GOLDEN & M64) >> 11) * 2.0**-53

    def normal(self) -> float:
        radius = math.sqrt(-2 * math.log(1 - self.uniform()))
        return radius * math.cos(2 * math.pi * self.uniform())
