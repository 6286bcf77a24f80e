"""One user's session to look at: a line of text, or a picture of the history and the slate."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MODES = ["ansi", "human", "rgb_array"]
SIDE, EDGE = 16, 2  # pixels of an item's square, and of what frames the one that was taken
EMPTY, TAKEN = (235, 235, 235), (20, 20, 20)


class Scene(NamedTuple):
    """What is to be seen of a session: after `step` decisions."""

    step: int
    history: NDArray[np.int32]  # (H,) items taken, oldest first, -1 = none
    slate: NDArray[np.int32]  # (K,) items shown last; -1 before the first decision
    consumed: int  # the item taken of it, -1 = none
    reward: float


def check_render_mode(mode: str | None) -> None:
    """Raise ValueError for a mode that there is none of."""
    if mode is not None and mode not in MODES:
        names = ", ".join(map(repr, MODES))
        raise ValueError(f"render_mode = {mode!r}: choose one of {names}, or None")


def text(scene: Scene) -> str:
    """A line: step, slate, choice, reward and the latest items of the history."""
    past = " ".join(str(item) for item in scene.history if item >= 0) or "none"
    if scene.step == 0:
        return f"step 0 | history {past}"
    taken = "nothing" if scene.consumed < 0 else f"item {scene.consumed}"
    shown = " ".join(map(str, scene.slate))
    return (
        f"step {scene.step} | shown {shown} | taken {taken} | reward {scene.reward:.2f} | "
        f"history {past}"
    )


def picture(scene: Scene, topics: NDArray[np.int32], n_topics: int) -> NDArray[np.uint8]:
    """(2 S, max(H, K) S, 3), S = 16 pixels: above the history, below the slate, a square an item in
    the colour of its topic; what was taken is framed."""
    width = max(len(scene.history), len(scene.slate))
    out = np.full((2 * SIDE, width * SIDE, 3), EMPTY, np.uint8)
    for row, items in enumerate((scene.history, scene.slate)):
        for column, item in enumerate(items):
            if item < 0:
                continue
            square = out[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]
            framed = row == 1 and item == scene.consumed
            square[...] = TAKEN if framed else EMPTY
            square[EDGE:-EDGE, EDGE:-EDGE] = _colour(topics[item] / n_topics)
    return out


def _colour(share: float) -> NDArray[np.uint8]:
    """A colour (3,) of the wheel at 0..1."""
    wave = np.cos(2 * np.pi * (share + np.array([0.0, 1 / 3, 2 / 3])))
    return (127.5 + 100 * wave).astype(np.uint8)
