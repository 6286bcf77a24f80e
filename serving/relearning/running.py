"""A run when it is due: the state beside a registry, the cut, and a run that was interrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from offpolicy.log.dataset import LoggedDataset
from offpolicy.storage.claims import held
from serving.contracts.fields import ContractError
from serving.registry.durable import write_durably
from serving.registry.registry import Registry
from serving.relearning.cut import Cut, cut_of, read_cut, write_cut
from serving.relearning.relearn import Challenge
from serving.relearning.triggers import (
    RelearnRule,
    RelearnState,
    Trigger,
    begun,
    due,
    ended,
    why_not,
)

CUTS, STATE = "cuts", "relearning.json"  # in the registry's folder
ASKED = "asked"  # the kind of a trigger that a person is


@dataclass(frozen=True, slots=True)
class Run:
    """What came of asking whether to learn."""

    trigger: Trigger | None  # None where it was not due
    why: str  # it learns, or not
    cut: Cut | None
    challenge: Challenge | None


def read_state(registry: Registry) -> RelearnState:
    """What is known of runs so far. Raises ContractError for a damaged file."""
    file = registry.folder / STATE
    if not file.is_file():
        return RelearnState()
    try:
        return RelearnState.from_json(file.read_bytes())
    except ContractError as error:
        raise ContractError(
            f"{file} is damaged: {error}. Move it away: runs then count as none was before"
        ) from None


def raise_alarm(registry: Registry, what: str) -> RelearnState:
    """Drift was seen: a rule with `when_drift` is due from now on, until a run begins."""
    with _changing(registry):
        state = replace(read_state(registry), alarm=what)
        _keep(registry, state)
    return state


def run_when_due(
    registry: Registry,
    log: LoggedDataset,
    rule: RelearnRule | None,
    learn: Callable[[Cut, str], Challenge],
    *,
    name: str | None = None,
    cut: Cut | None = None,
) -> Run:
    """Ask, and learn where it is due: `learn(cut, why)` is `relearn` with its settings. A run that
    was killed goes on from its own cut first, whatever the rule says.

    rule: None = a person asked. name: of the new cut. cut: learn from this earlier one instead.

    Raises OSError where another run is learning, and what `learn` raises: then the run is over.
    """
    with _changing(registry):
        state, now = read_state(registry), registry.clock()
        state = replace(state, sessions=log.n_sessions)
        asked = Trigger(kind=ASKED, why="a person asked", time=now)
        trigger = asked if rule is None else due(state, rule, now)
        if state.running is not None:
            try:
                cut = read_cut(registry.folder / CUTS, state.running)
            except (OSError, ValueError):  # it cannot go on, and holds back no other
                _keep(registry, ended(state))
                raise
            why = f"goes on: the run from cut {cut.name} was interrupted"
            trigger = Trigger(kind=ASKED, why=why, time=now)
        elif trigger is None:
            _keep(registry, state)
            return Run(None, why_not(state, rule or RelearnRule(), now), None, None)
        elif cut is not None:
            state = begun(state, cut.name, state.learnt, now)
        else:
            cut = cut_of(log, name)
            state = begun(state, cut.name, cut.sessions, now)
        write_cut(registry.folder / CUTS, cut)
        _keep(registry, state)
        try:
            challenge = learn(cut, trigger.why)
        except Exception:  # it would fail again: a run that was killed is another matter
            _keep(registry, ended(state))
            raise
        _keep(registry, ended(state))
    return Run(trigger, trigger.why, cut, challenge)


def _keep(registry: Registry, state: RelearnState) -> None:
    write_durably(registry.folder / STATE, state.to_json() + b"\n")


@contextmanager
def _changing(registry: Registry) -> Iterator[None]:
    """Nobody else runs or raises an alarm meanwhile."""
    folder = registry.folder / CUTS
    folder.mkdir(exist_ok=True)
    with held(folder) as alone:
        if not alone:
            raise OSError(f"another run is learning ({folder} is locked): wait for its end")
        yield
