"""The compiled loops with their memory: N users as arrays, stepped by one or more threads."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsim_env.kernel.buffers import Take, arrays_for, new_array
from recsim_env.kernel.kernel import compiled, direct
from recsim_env.kernel.offers import resolve
from recsim_env.kernel.state import (
    LOOK,
    START,
    Live,
    Offer,
    Outcome,
    Scratch,
    StepRequest,
    View,
    lined_up,
    shares,
)
from recsim_env.model import UserModel

FOREVER = 2**62


class Engine:
    """Knows arrays and compiled loops; nothing of Gymnasium, and of users only what they observe.

    live, offer, world: what the loops read and write. widths: entries of a user's vector and of a
    response. history_length: H. slate_size: K. max_steps: of a session, or None. autoreset: whether
    a session that ends is followed at once by the next, its last observation kept apart. threads:
    how many share the users of a step; each user is served by one, so results do not depend on it.
    described: whether observations hold the features of the candidates; it may be set anew.
    """

    def __init__(
        self,
        model: UserModel,
        *,
        live: Live,
        offer: Offer,
        world: Any,
        widths: tuple[int, int],
        history_length: int,
        slate_size: int,
        max_steps: int | None,
        autoreset: bool,
        threads: int,
        described: bool,
    ) -> None:
        self.live, self.offer, self.world = live, offer, world
        self.widths, self.history_length, self.slate_size = widths, history_length, slate_size
        self.max_steps, self.autoreset = FOREVER if max_steps is None else int(max_steps), autoreset
        self.n = len(live.users)
        self.shares = shares(self.n, threads)
        items = len(offer.features) if live.candidates.size else 0
        scratch = Scratch(np.zeros(slate_size), np.zeros(items, np.bool_))
        self._scratch = [copy.deepcopy(scratch) for _ in self.shares]
        self.described, last = True, self.n if autoreset else 0
        whole = self._view(last, new_array)
        self.described = False
        plain = self._view(last, new_array).candidate_features
        self._finals = whole._replace(candidate_features=plain), whole  # by `described`
        self.described = described
        self.start(model)

    def start(self, model: UserModel) -> None:
        """Get what a pickle leaves out: machine code, helping threads, arrays to hand out."""
        self.kernel, self.world = compiled(model), lined_up(self.world)
        self._helpers = ThreadPoolExecutor(len(self.shares) - 1) if self.shares[1:] else None
        self._take = arrays_for(self.n)
        self._step: Any = None  # both compiled at their first call
        self._resolve: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """All but what `start` makes; the world stays."""
        made = ("kernel", "_helpers", "_take", "_step", "_resolve")
        return {name: value for name, value in self.__dict__.items() if name not in made}

    def view(self) -> View:
        """Arrays (N, ...) for one observation, of arbitrary content, that nobody else holds."""
        return self._view(self.n, self._take)

    def _view(self, n: int, take: Take) -> View:
        h, (wide, r), c = self.history_length, self.widths, self.live.candidates.shape[1]
        features = self.offer.features.shape[1] if self.described else 0
        name = "candidate_features" if features else "none"
        return View(
            take("history_items", (n, h), np.int32),
            take("history_responses", (n, h * r), np.float32),
            take("user", (n, wide), np.float32),
            take("candidates", (n, c), np.int32),
            take(name, (n, c, features), np.float32),
        )

    def outcome(self) -> Outcome:
        """Arrays (N, ...) for what one step returns, of arbitrary content."""
        n, take = self.n, self._take
        return Outcome(
            take("reward", (n,), np.float64),
            take("terminated", (n,), np.bool_),
            take("truncated", (n,), np.bool_),
            take("consumed", (n,), np.int32),
            take("responses", (n, self.widths[1]), np.float32),
            take("position_reward", (n, self.slate_size), np.float64),
        )

    def begin(self, mask: NDArray[np.bool_], view: View) -> None:
        """Start the next session in the rows of `mask` (N,), and observe all."""
        nothing = np.full((self.n, self.slate_size), -1, np.int32)
        todo = np.where(mask, START, LOOK).astype(np.uint8)
        self.step(nothing, todo, self.outcome(), view)

    def resolve(
        self, choices: NDArray[np.int64], size: int, fix: bool
    ) -> tuple[NDArray[np.int32], NDArray[np.bool_], int]:
        """Item ids (N, K) of choices below `size`, the rows fixed, and the first bad row or -1."""
        slates = np.empty((self.n, self.slate_size), np.int32)
        invalid = np.zeros(self.n, np.bool_)
        users, candidates = self.live.users, self.live.candidates
        who = users["clock"].copy(), users["group"].copy()
        request = (choices, *who, candidates, self.offer, size, fix, slates, invalid)
        self._resolve = self._resolve or direct(resolve, *request)
        return slates, invalid, int(self._resolve(*request))

    def step(
        self, slates: NDArray[np.int32], todo: NDArray[np.uint8], outcome: Outcome, view: View
    ) -> list[int]:
        """Do with each user what is to do; how many sessions ended, and began anew, in each share.

        `todo` (N,): SERVE the slate, START the next session instead, or only LOOK.
        """

        final = self._finals[self.described]

        def request(i: int) -> StepRequest:
            return StepRequest(
                *self.shares[i], todo, self.autoreset, self.max_steps, self.live, self.offer,
                self.world, slates, outcome, view, final, self._scratch[i],
            )  # fmt: skip

        self._step = self._step or direct(self.kernel.step, request(0))
        if self._helpers is None:
            return [self._step(request(0))]
        others = [self._helpers.submit(self._step, request(i)) for i in range(1, len(self.shares))]
        return [self._step(request(0))] + [other.result() for other in others]

    def final(self, counts: list[int]) -> View:
        """The last observations of the sessions that ended in the step just made, copied."""
        pieces = [slice(a, a + n) for (a, _), n in zip(self.shares, counts, strict=True)]
        last = self._finals[self.described]
        return View(*(np.concatenate([x[piece] for piece in pieces]) for x in last))

    @contextmanager
    def undescribed(self) -> Iterator[None]:
        """Within it observations lack the features of the candidates."""
        before, self.described = self.described, False
        try:
            yield
        finally:
            self.described = before

    def close(self) -> None:
        """Stop the helping threads."""
        if self._helpers is not None:
            self._helpers.shutdown()
