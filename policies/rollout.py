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
    quota = None if n_sessions is None else _split(n_sessions, env.num_envs)
    with lean(env):
        parts = _served(env, followed(policy), n_steps, quota, seed, draws, progress)
    if quota is None:
        parts[-1]["truncated"] = parts[-1]["truncated"] | ~parts[-1]["terminated"]
    log = _to_log(parts, serving, logger, whole=quota is None)
    try:
        limit = attribute(env, "max_steps")
    except AttributeError:
        return log
    return log.with_max_steps(limit) if isinstance(limit, int) else log


def _served(
    env: VectorEnv[Any, Any, Any],
    policy: Policy,
    n_steps: int | None,
    quota: NDArray[np.int64] | None,
    seed: int,
    draws: Draws | None,
    progress: Progress | None,
) -> list[Rows]:
    """The rows of each step, until there are so many steps or every slot has its sessions."""
    env_seed, act_seed = np.random.SeedSequence(seed).spawn(2)
    rng = np.random.default_rng(act_seed)
    obs, _ = env.reset(seed=int(env_seed.generate_state(1)[0]))
    started = np.zeros(env.num_envs, np.int64)  # sessions begun before the current one, per slot
    step, nothing_lost = np.zeros(env.num_envs, np.int32), np.zeros(env.num_envs, np.bool_)
    parts: list[Rows] = []
    while True:
        seen = observation_of(obs)
        chosen = act(policy, seen, rng if draws is None else draws(started, step))
        action = chosen.action[:, 0] if chosen.action.shape[1] == 1 else chosen.action
        obs, reward, terminated, truncated, info = env.step(action)
        keep = np.arange(env.num_envs) if quota is None else np.flatnonzero(started < quota)
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
        left = left_by_rules(chosen.distribution, seen, policy.serving.n_items)
        row = _rows(seen, offered(left), chosen, outcome | {"session": started, "step": step}, keep)
        parts.append(row)
        started += done
        step = np.where(done, 0, step + 1).astype(np.int32)
        if progress is not None:
            progress(*_advance(len(parts), n_steps, started, quota))
        if len(parts) == n_steps or (quota is not None and bool((started >= quota).all())):
            return parts


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


def _advance(
    done: int, n_steps: int | None, started: NDArray[np.int64], quota: NDArray[np.int64] | None
) -> tuple[int, int]:
    if quota is None:
        return done, n_steps or 0
    return int(np.minimum(started, quota).sum()), int(quota.sum())


def _rows(
    seen: Observation,
    on_offer: NDArray[np.int32] | None,
    chosen: Decision,
    outcome: Rows,
    keep: NDArray[np.int64],
) -> Rows:
    """The log's rows of one step for the slots in `keep`: what was seen BEFORE the action, what was
    on offer, the slate, what came of it. Histories are kept at step 0 alone: the rest can be
    derived."""
    row = outcome | {
        "slate": chosen.slate,
        "propensity": chosen.propensity,
        "position_propensity": chosen.position_propensity,
        "context": seen.user,
    }
    if on_offer is not None:
        row |= {"candidates": on_offer, "candidate_propensity": chosen.first_place}
    if len(keep) < len(seen):
        row = {name: value[keep] for name, value in row.items()}
    first = np.flatnonzero(row["step"] == 0)
    return row | {
        "session": row["session"].copy(),  # counted on in place
        "slot": keep,
        "first": first,
        "before_items": seen.history_items[keep[first]],
        "before_responses": seen.history_responses[keep[first]],
    }


def _in_order(parts: list[Rows], *, whole: bool) -> dict[str, Any]:
    """The columns of time-major parts, ordered by (slot, session, step); `whole`: each part holds
    every slot."""
    names = parts[0].keys() - {"first", "before_items", "before_responses"}
    if whole:  # a slot's rows are in the order of steps as they are
        stacks = {name: np.stack([part[name] for part in parts], axis=1) for name in names}
        return {name: x.reshape(-1, *x.shape[2:]) for name, x in stacks.items()}
    columns = {name: np.concatenate([part[name] for part in parts]) for name in names}
    order = np.lexsort((columns["step"], columns["session"], columns["slot"]))
    return {name: value[order] for name, value in columns.items()}


def _to_log(parts: list[Rows], serving: Serving, logger: str, *, whole: bool) -> LoggedDataset:
    """Parts to one log whose sessions are contiguous, ordered by (slot, session)."""
    columns = _in_order(parts, whole=whole)
    slot, nth, lost = columns.pop("slot"), columns.pop("session"), columns.pop("lost")
    new = np.concatenate([[True], (slot[1:] != slot[:-1]) | (nth[1:] != nth[:-1])])
    session = np.cumsum(new) - 1
    prior_items, prior_responses = _priors(parts, slot[new], nth[new])
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


def _priors(
    parts: list[Rows], slot: NDArray[np.int64], nth: NDArray[np.int64]
) -> tuple[NDArray[np.int32] | None, NDArray[np.float32] | None]:
    """First histories in the order of sessions, or None where every session starts empty."""
    items = np.concatenate([p["before_items"] for p in parts])
    if not (items >= 0).any():
        return None, None
    responses = np.concatenate([p["before_responses"] for p in parts])
    first_slot = np.concatenate([p["slot"][p["first"]] for p in parts])
    first_nth = np.concatenate([p["session"][p["first"]] for p in parts])
    order = np.lexsort((first_nth, first_slot))  # sessions stand in the same order as in the log
    return items[order], responses[order]
