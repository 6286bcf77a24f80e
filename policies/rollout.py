"""The only meeting of an environment and a policy: it writes the decision log."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from policies.base import Decision, Policy, act, followed
from policies.observation import (
    Observation,
    Serving,
    check_same_world,
    observation_of,
    offered,
    serving_of,
)
from policies.rules.constrained import left_by_rules
from policies.slates.distributions import RandomSource
from policies.validation import COUNT
from policies.wrapped import (
    attribute,
    fixed_slates,
    happened,
    lean,
    one_at_a_time,
    vectorised,
)

if TYPE_CHECKING:  # a server of policies has no environment
    from gymnasium.vector import VectorEnv

Rows = dict[str, NDArray[Any]]
Progress = Callable[[int, int], None]
Draws = Callable[[NDArray[np.int64], NDArray[np.int32]], RandomSource]


@one_at_a_time
def collect(
    env: VectorEnv[Any, Any, Any],
    policy: Policy,
    *,
    n_steps: int | None = None,
    n_sessions: int | None = None,
    seed: int,
    logger: str = "behaviour",
    draws: Draws | None = None,
    progress: Progress | None = None,
) -> LoggedDataset:
    """Serve simulated users with a policy and log every decision with its propensity.

    n_steps: whole steps of the vector environment; n_steps x num_envs rows, and sessions still open
        at the end are marked truncated, so session returns are biased towards short sessions.
    n_sessions: whole sessions instead, split evenly over the users' slots; what a value per session
        needs. Give one of the two.
    seed: users and policy draw from separate streams split off it, so another policy under the
        same seed meets the same users with the same random numbers.
    draws: called with the sessions begun before in each slot (N,) and their steps (N,), gives what
        the slates of the step are drawn with; by default one generator of the seed's draws all.
    progress: called with (done, total) after each step.

    Candidates that a rule of the policy closed for the user are -1 in the log, as empty places are.
    Rows that the environment marks in infos["lost"] (a pipeline that drops events) are not written.

    env: a vector environment, or one of a single user, under any wrappers that keep observations
    and infos. Wrapped rewards are the log's rewards; `position_reward` is what the world paid.

    Raises RuntimeError where another `collect` is serving this environment, and
    ValueError if the policy was built for other sizes, if the environment's autoreset would
    put dead rows into the log, and if the environment changed a slate before it showed it.
    """
    env = vectorised(env)
    _check(env, n_steps, n_sessions)
    serving = serving_of(env)
    check_same_world(policy.serving, serving)
    rows: BySlot | ByTime = BySlot(n_steps or 0)
    if n_sessions is not None:
        rows = ByTime(_split(n_sessions, env.num_envs))
    with lean(env):
        _serve(env, followed(policy), rows, seed, draws, progress)
    log = _to_log(rows, serving, logger)
    try:
        limit = attribute(env, "max_steps")
    except AttributeError:
        return log
    return log.with_max_steps(limit) if isinstance(limit, int) else log


def _serve(
    env: VectorEnv[Any, Any, Any],
    policy: Policy,
    rows: ByTime | BySlot,
    seed: int,
    draws: Draws | None,
    progress: Progress | None,
) -> None:
    """Serve step after step until `rows` has all that it wants."""
    env_seed, act_seed = np.random.SeedSequence(seed).spawn(2)
    rng = np.random.default_rng(act_seed)
    obs, _ = env.reset(seed=int(env_seed.generate_state(1)[0]))
    started = np.zeros(env.num_envs, np.int64)  # sessions begun before the current one, per slot
    step, nothing_lost = np.zeros(env.num_envs, np.int32), np.zeros(env.num_envs, np.bool_)
    every, size = np.arange(env.num_envs), policy.serving.n_items
    while True:
        seen = observation_of(obs)
        chosen = act(policy, seen, rng if draws is None else draws(started, step))
        action = chosen.action[:, 0] if chosen.action.shape[1] == 1 else chosen.action
        obs, reward, terminated, truncated, info = env.step(action)
        keep = rows.wanted(started)
        done = terminated | truncated
        told = happened(info, done)
        _check_shown(info, done, chosen)
        outcome = {
            "reward": np.asarray(reward, np.float64),
            "terminated": terminated,
            "truncated": truncated,
            "lost": np.asarray(info.get("lost", nothing_lost)),
            **told,
        }
        left = left_by_rules(chosen.distribution, seen, size)
        at = {"session": started, "step": step, "slot": every}
        rows.add(*_rows(seen, offered(left), chosen, outcome | at, keep))
        started = started + done
        step = np.where(done, 0, step + 1).astype(np.int32)
        done_so_far, total = rows.progress(started)
        if progress is not None:
            progress(done_so_far, total)
        if done_so_far >= total:
            return


def _check_shown(info: dict[str, Any], ended: NDArray[np.bool_], chosen: Decision) -> None:
    """Raise ValueError where users saw other slates than the policy drew."""
    fixed = fixed_slates(info, ended)
    if fixed.any():
        slot = int(np.argmax(fixed))
        raise ValueError(
            f"slate {chosen.action[slot].tolist()} of slot {slot} repeats an item or holds an "
            "unavailable one, and the environment showed another: its propensity would be wrong. "
            "Draw slates without replacement from the observation's `eligible` columns."
        )


def _check(env: VectorEnv[Any, Any, Any], n_steps: int | None, n_sessions: int | None) -> None:
    if (n_steps is None) == (n_sessions is None):
        raise ValueError(
            "give either n_steps= (rows of every user) or n_sessions= (whole sessions)"
        )
    for name, asked in (("n_steps", n_steps), ("n_sessions", n_sessions)):
        if asked is not None:
            COUNT.check(name, asked)
    check_same_step(env)


def check_same_step(env: VectorEnv[Any, Any, Any]) -> None:
    """Raise ValueError for an environment that resets otherwise than by SAME_STEP."""
    from gymnasium.vector import AutoresetMode

    mode = env.metadata.get("autoreset_mode")
    if mode not in (AutoresetMode.SAME_STEP, AutoresetMode.SAME_STEP.value):
        raise ValueError(
            f"the environment resets by {mode}: one row a session would be a step whose action is "
            "ignored and whose reward is 0. Use an environment with AutoresetMode.SAME_STEP."
        )


def _split(total: int, slots: int) -> NDArray[np.int64]:
    """Sessions per slot; the first slots take the remainder."""
    return total // slots + (np.arange(slots) < total % slots).astype(np.int64)


def _rows(
    seen: Observation,
    on_offer: NDArray[np.int32] | None,
    chosen: Decision,
    outcome: Rows,
    keep: NDArray[np.int64] | None,
) -> tuple[Rows, Rows]:
    """The log's rows of one step for the slots in `keep`, None = all: what was seen BEFORE the
    action, what was on offer, the slate, what came of it. And what histories held in those that
    begin a session: the rest can be derived."""
    row = outcome | {
        "slate": chosen.slate,
        "propensity": chosen.propensity,
        "position_propensity": chosen.position_propensity,
        "context": seen.user,
    }
    if on_offer is not None:
        row |= {"candidates": on_offer, "candidate_propensity": chosen.first_place}
    if keep is not None:
        row = {name: value[keep] for name, value in row.items()}
    first = row["slot"][row["step"] == 0]
    return row, {
        "slot": first,
        "session": outcome["session"][first],
        "items": seen.history_items[first],
        "responses": seen.history_responses[first],
    }


class BySlot:
    """Rows of so many whole steps of every slot, written where they stay: (N, T, ...)."""

    def __init__(self, n_steps: int) -> None:
        self.n_steps, self.steps = n_steps, 0
        self.columns: Rows = {}
        self.begun: list[Rows] = []

    def wanted(self, started: NDArray[np.int64]) -> None:
        """All slots."""

    def add(self, row: Rows, begun: Rows) -> None:
        """The rows of the next step; those of the last end what is open."""
        if not self.columns:
            self.columns = {
                name: np.empty((len(x), self.n_steps, *x.shape[1:]), x.dtype)
                for name, x in row.items()
            }
        for name, x in row.items():
            if x.dtype != self.columns[name].dtype:  # whole numbers in one step, others in the next
                wide = np.result_type(x, self.columns[name])
                self.columns[name] = self.columns[name].astype(wide, copy=False)
            self.columns[name][:, self.steps] = x
        self.begun.append(begun)
        self.steps += 1
        if self.steps == self.n_steps:
            self.columns["truncated"][:, -1] |= ~row["terminated"]

    def progress(self, started: NDArray[np.int64]) -> tuple[int, int]:
        """Steps so far, and in all."""
        return self.steps, self.n_steps

    def in_order(self) -> Rows:
        """Columns by (slot, session, step)."""
        return {name: x.reshape(-1, *x.shape[2:]) for name, x in self.columns.items()}


class ByTime:
    """Rows of the first sessions of each slot, step after step."""

    def __init__(self, quota: NDArray[np.int64]) -> None:
        self.quota = quota  # (N,) sessions of each slot
        self.parts: list[Rows] = []
        self.begun: list[Rows] = []

    def wanted(self, started: NDArray[np.int64]) -> NDArray[np.int64]:
        """The slots whose sessions are not yet done."""
        return np.flatnonzero(started < self.quota)

    def add(self, row: Rows, begun: Rows) -> None:
        """The rows of the next step."""
        self.parts.append(row)
        self.begun.append(begun)

    def progress(self, started: NDArray[np.int64]) -> tuple[int, int]:
        """Sessions so far, and in all."""
        return int(np.minimum(started, self.quota).sum()), int(self.quota.sum())

    def in_order(self) -> Rows:
        """Columns by (slot, session, step)."""
        columns = {name: np.concatenate([p[name] for p in self.parts]) for name in self.parts[0]}
        order = np.lexsort((columns["step"], columns["session"], columns["slot"]))
        return {name: value[order] for name, value in columns.items()}


def _to_log(rows: ByTime | BySlot, serving: Serving, logger: str) -> LoggedDataset:
    """A log whose sessions are contiguous, ordered by (slot, session)."""
    columns: dict[str, Any] = rows.in_order()
    slot, nth, lost = columns.pop("slot"), columns.pop("session"), columns.pop("lost")
    new = np.concatenate([[True], (slot[1:] != slot[:-1]) | (nth[1:] != nth[:-1])])
    session = np.cumsum(new) - 1
    prior_items, prior_responses = _priors(rows.begun)
    log = LoggedDataset.from_columns(
        session=session,
        n_items=serving.n_items,
        item_names=serving.item_names,
        logger=np.full(len(session), logger),
        prior_items=prior_items,
        prior_responses=prior_responses,
        **columns,
    )
    return log.take(~lost) if lost.any() else log


def _priors(begun: list[Rows]) -> tuple[NDArray[np.int32] | None, NDArray[np.float32] | None]:
    """First histories in the order of sessions, or None where every session starts empty."""
    items = np.concatenate([one["items"] for one in begun])
    if not (items >= 0).any():
        return None, None
    responses = np.concatenate([one["responses"] for one in begun])
    slot = np.concatenate([one["slot"] for one in begun])
    nth = np.concatenate([one["session"] for one in begun])
    order = np.lexsort((nth, slot))  # sessions stand in the same order as in the log
    return items[order], responses[order]
