"""The loops over users, written once for all models.

A loop's first argument is a model's `Functions`, which numba puts in place when it compiles; its
last is one record of all that it reads and writes. What no model has a say in (`offers`,
`histories`) takes plain arrays and numbers, so that it is compiled once for all models.
"""

from __future__ import annotations

from typing import Any

from recsim_env.jit import njit
from recsim_env.kernel.histories import recall, remember, show
from recsim_env.kernel.offers import draw
from recsim_env.kernel.state import SERVE, START, AppraisalRequest, StepRequest, View
from recsim_env.model import Functions
from recsim_env.random import BEGIN, RESPOND, derive, integer, member, turn

BLOCK = 64  # users that pass through a step together: their records stay in the cache


@njit
def serve(model: Functions, step: StepRequest, row: int) -> None:
    """One user answers a slate (K,) of item ids; the outcome's row is blank before."""
    user, live, outcome = step.live.users[row], step.live, step.outcome
    response, paid, slate = outcome.responses[row], outcome.position_reward[row], step.slates[row]
    turn(user, RESPOND)
    position = model.respond(user, step.world, slate, step.scratch.scores, response, paid)
    item = slate[position] if position >= 0 else -1
    reward = model.advance(user, step.world, item, response)
    for k in range(paid.size):
        reward += paid[k]
    if item >= 0:
        user.watched += response[1]
        user.enjoyed += response[1] * response[2]
        user.head = remember(row, user.head, live.items, live.responses, item, response)
    left = model.leaves(user, step.world)
    user.step += 1
    user.clock += 1
    outcome.consumed[row] = item
    outcome.reward[row] = reward
    outcome.terminated[row] = left
    outcome.truncated[row] = not left and user.step >= step.max_steps


@njit
def look(model: Functions, step: StepRequest, row: int, view: View, to: int) -> None:
    """Make a user the next offer and copy what the agent may see into row `to` of a view."""
    user, live, offer, drawn = step.live.users[row], step.live, step.offer, step.scratch.drawn
    sums = view.user.shape[1] - 3
    if drawn.size > 0:
        draw(live.candidates[row], user.key, user.step, user.clock, user.group, offer, drawn)
    model.observe(user, step.world, view.user[to])
    view.user[to, sums] = user.step
    view.user[to, sums + 1] = user.watched
    view.user[to, sums + 2] = user.enjoyed
    show(row, user.head, live.items, live.responses, live.candidates, offer.features, view, to)


@njit
def start(model: Functions, step: StepRequest, row: int) -> None:
    """The slot's next session: random stream, calendar, person and first history of its own."""
    user, live, offer = step.live.users[row], step.live, step.offer
    people = offer.past_items.shape[0]
    user.session += 1
    user.key = derive(user.stream, user.session)
    user.clock = user.session * offer.session_ticks
    user.group = member(user.key, offer.members)
    user.step = 0
    user.head = 0
    user.watched = 0.0
    user.enjoyed = 0.0
    turn(user, BEGIN)
    user.person = integer(user, people) if people else -1
    model.sample(user, step.world)
    recall(row, user.person, offer, live.items, live.responses)


@njit
def step_users(model: Functions, step: StepRequest) -> Any:
    """One decision of users first..last-1: they answer, are made the next offer and observed.

    Returns how many sessions ended and, with `autoreset`, were followed by the next at once: their
    last observations stand in rows first, first + 1 ... of `final_observation`.
    """
    outcome, ended = step.outcome, step.first
    for block in range(step.first, step.last, BLOCK):
        end = min(block + BLOCK, step.last)
        for row in range(block, end):
            outcome.consumed[row], outcome.reward[row] = -1, 0.0
            outcome.terminated[row] = outcome.truncated[row] = False
            for r in range(outcome.responses.shape[1]):
                outcome.responses[row, r] = 0.0
            for k in range(outcome.position_reward.shape[1]):
                outcome.position_reward[row, k] = 0.0
        for row in range(block, end):
            if step.todo[row] == SERVE:
                serve(model, step, row)
        for row in range(block, end):
            over = step.autoreset and (outcome.terminated[row] or outcome.truncated[row])
            if over:
                look(model, step, row, step.final_observation, ended)
                ended += 1
            if over or step.todo[row] == START:
                start(model, step, row)
            look(model, step, row, step.observation, row)
    return ended - step.first


@njit
def appraise_choices(model: Functions, request: AppraisalRequest) -> Any:
    """What oracles ask of `items` (N, C) and of choosing nothing (N,); nothing changes."""
    world, items, out = request.world, request.items, request.out
    for row in range(items.shape[0]):
        user = request.live.users[row]
        out.none[row] = model.none(user, world)
        out.plan_none[row] = model.plan_none(user, world)
        for c in range(items.shape[1]):
            out.weight[row, c] = model.score(user, world, items[row, c])
            out.worth[row, c] = model.worth(user, world, items[row, c])
            out.plan[row, c] = model.plan(user, world, items[row, c])
    return items.shape[0]
