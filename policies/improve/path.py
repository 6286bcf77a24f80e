"""Policies between two policies, with exact propensities of ordered slates.

Geometric: log pi_l = (1 - l) log pi_now + l log pi_target over first-place probabilities, as
Plackett-Luce logits; of Plackett-Luce policies the logits combine and every normaliser cancels.
Mixture: a slate of the target with probability l, else one of the policy that serves.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from policies.base import Policy
from policies.observation import Observation, Serving, check_same_world
from policies.one_user import recommend
from policies.rules.constrained import Checked, Constrained
from policies.rules.constraints import Rule, same_rules
from policies.saved import Savable, Saved
from policies.saving.folders import catalogue_hash, content_hash
from policies.score_policy import ScorePolicy
from policies.slates.distributions import (
    Mixture,
    PlackettLuce,
    SlateDistribution,
    sum_weighted,
)
from policies.slates.parts import Parts, parts_of
from policies.validation import SHARE

F64 = NDArray[np.float64]
Kind = Literal["geometric", "mixture"]
KINDS: tuple[Kind, ...] = ("geometric", "mixture")
TINY = 1e-4  # a part of less weight is dropped where paths are joined
FIX = (
    "give it a temperature (build(..., temperature=1.0)) or an epsilon, or take the path of "
    'kind="mixture"'
)


class GeometricPathError(ValueError):
    """A policy at an end of the path gives items probability 0, or hides rules inside of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """A policy between several. It does not learn: what was judged is what is served."""

    kind: Kind
    parts: tuple[Policy, ...]
    weights: tuple[float, ...]  # > 0, sum to 1

    recommend = recommend

    @property
    def serving(self) -> Serving:
        return self.parts[0].serving

    def distribution(self, obs: Observation) -> SlateDistribution:
        parts = [part.distribution(obs) for part in self.parts]
        return joined(self.kind, parts, self.weights, obs, self.serving.slate_size)

    def score_parts(self, obs: Observation) -> list[Parts]:
        """Of a mixture those of each policy; of a geometric path each policy's log-probabilities
        times its weight, in that policy's parts where it is Plackett-Luce."""
        if self.kind == "mixture":
            return [
                p._replace(name=f"policy {n}" if p.logits else f"policy {n}, {p.name}")
                for n, part in enumerate(self.parts, 1)
                for p in parts_of(part, obs)
            ]
        logits: dict[str, F64] = {}
        for n, (part, weight) in enumerate(zip(self.parts, self.weights, strict=True), 1):
            d = part.distribution(obs)
            if isinstance(d, PlackettLuce):
                [own] = parts_of(part, obs)
                named = own.logits
            else:
                named = {"log-probability": log_first_place(d, obs)}
            logits |= {f"policy {n} x {weight:.3g}: {k}": weight * v for k, v in named.items()}
        return [Parts("path", None, logits)]

    def update(self, log: LoggedDataset) -> dict[str, float]:
        """Raise ValueError: a policy that was judged must not change while it serves."""
        raise ValueError(
            "a policy on a path does not learn: its probabilities are those that were judged. Let "
            "the target learn, target.update(log), and take another step towards it"
        )

    def saved(self) -> Saved:
        config = {"kind": self.kind, "weights": list(self.weights)}
        return Saved(config=config, parts=self.parts)

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        return cls(saved.config["kind"], saved.parts, tuple(saved.config["weights"]))


def between(now: Policy, target: Policy, share: float, kind: Kind = "geometric") -> Policy:
    """The policy at `share` of the way from `now` to `target`; 0 is `now`, 1 is `target` itself.

    Paths between paths are one path over the distinct policies, each asked once: equal policies,
    by what they hold, count together, and weights below 1e-4 are dropped. The parts are copied, so
    that a target that learns on does not move what serves. Rules around both policies are around
    the path.

    Raises:
        ValueError: sizes, catalogues or rules differ; a share outside 0..1; a geometric path to a
            policy that shows the best surely.
    """
    SHARE.check("share", share)
    rules = shared_rules(now, target, kind)
    if share in (0, 1):
        return target if share else now
    inside = _collapsed(kind, [(inner(now), 1 - share), (inner(target), share)])
    return Constrained(inside, rules) if rules else inside


def along(
    now: Policy, target: Policy, shares: Sequence[float], kind: Kind, obs: Observation
) -> Iterator[SlateDistribution]:
    """What `between(now, target, share, kind)` would show, for every share; each of both policies
    is asked once for the rows."""
    rules = shared_rules(now, target, kind)
    around = Constrained(now, rules)
    seen, left = around.narrowed(obs)
    pair = [inner(end).distribution(left) for end in (now, target)]
    for share in shares:
        if share in (0, 1):
            d = pair[int(share)]
        else:
            d = joined(kind, pair, (1 - share, share), left, now.serving.slate_size)
        yield around.over(d, seen, left) if rules else d


def joined(
    kind: Kind,
    parts: Sequence[SlateDistribution],
    weights: Sequence[float],
    obs: Observation,
    places: int,
) -> SlateDistribution:
    """One distribution of several for the same rows; weights > 0 sum to 1.

    Raises ValueError where a geometric path meets a probability of 0 for an eligible column.
    """
    if kind == "mixture":
        return Mixture(tuple(parts), tuple(weights))
    logits = sum_weighted([log_first_place(part, obs) for part in parts], tuple(weights))
    return PlackettLuce(logits, places)


def inner(policy: Policy) -> Policy:
    """The policy inside of rules, or itself."""
    return policy.policy if isinstance(policy, Constrained) else policy


def shared_rules(now: Policy, target: Policy, kind: Kind) -> tuple[Rule, ...]:
    """The rules that both are under, in their order.

    Raises ValueError where there is no path of that kind between the two.
    """
    if kind not in KINDS:
        raise ValueError(f"no path of kind {kind!r}; there are {', '.join(KINDS)}")
    check_same_world(target.serving, now.serving, "the target")
    if catalogue_hash(target.serving) != catalogue_hash(now.serving):
        raise ValueError(
            "the target knows other item features than the policy that serves: their ids may mean "
            "other items. Build both from one Serving."
        )
    of = [p.rules if isinstance(p, Constrained) else () for p in (now, target)]
    if not same_rules(*of):
        names = [", ".join(rule.name for rule in rules) or "none" for rules in of]
        raise ValueError(
            f"the policy that serves is under the rules {names[0]} and the target under "
            f"{names[1]}: rules must hold on the whole path. Put both under the same ones in the "
            "same order: constrained(target, *rules)"
        )
    if kind == "geometric":
        for who, policy in (("the policy that serves", now), ("the target", target)):
            _check_geometric(inner(policy), who)
    return of[0]


def _check_geometric(policy: Policy, who: str) -> None:
    """Raise GeometricPathError for what has no geometric path, as far as known without a row."""
    rule = policy.exploration if isinstance(policy, ScorePolicy) else None
    if rule is not None and rule.temperature is None and rule.epsilon == 0:
        raise GeometricPathError(
            f"{who} shows its best items surely: other items have probability 0, and no geometric "
            f"path leads there. For {who}, {FIX}."
        )
    within = getattr(policy, "policy", None)
    while within is not None:
        if isinstance(within, Constrained):
            raise GeometricPathError(
                f"{who} has rules inside of a {type(policy).__name__}, where a geometric path "
                "cannot hold them: put the rules outermost, constrained(reranked(...), *rules)"
            )
        within = getattr(within, "policy", None)


def _collapsed(kind: Kind, parts: list[tuple[Policy, float]]) -> Path:
    """One path over distinct policies, of parts that may be paths of that kind themselves."""
    distinct: dict[str, tuple[Policy, float]] = {}
    for nth, (policy, weight, owned) in enumerate(_flat(kind, parts)):
        key = content_hash(policy) if isinstance(policy, Savable) else f"unsaved {nth}"
        if key in distinct:
            held, before = distinct[key]
            distinct[key] = held, before + weight
        else:
            distinct[key] = (policy if owned else copy.deepcopy(policy)), weight
    kept = [(policy, weight) for policy, weight in distinct.values() if weight >= TINY]
    total = sum(weight for _, weight in kept)
    return Path(kind, tuple(p for p, _ in kept), tuple(w / total for _, w in kept))


def _flat(kind: Kind, parts: list[tuple[Policy, float]]) -> Iterator[tuple[Policy, float, bool]]:
    """(policy, weight, whether a path owns it already) of all parts of paths of that kind."""
    for policy, weight in parts:
        if isinstance(policy, Path) and policy.kind == kind:
            for own, share in zip(policy.parts, policy.weights, strict=True):
                yield own, weight * share, True
        else:
            yield policy, weight, False


def log_first_place(d: SlateDistribution, obs: Observation) -> F64:
    """Log first-place probabilities (B, C), of Plackett-Luce up to a number a row."""
    if isinstance(d, PlackettLuce):
        top = d.logits.max(axis=1, keepdims=True)
        return d.logits - np.where(np.isneginf(top), 0.0, top)
    if isinstance(d, Checked):
        raise GeometricPathError(
            "a part of a geometric path is under rules of its own: put the rules around both ends"
        )
    chance = d.first_place()
    zero = chance <= 0
    if obs.eligible is not None:
        zero &= obs.eligible
    if zero.any():
        row, column = np.argwhere(zero)[0]
        raise GeometricPathError(
            f"a policy gives column {column} of row {row} probability 0 ({type(d).__name__}): no "
            f"geometric path leads there. For that policy, {FIX}."
        )
    with np.errstate(divide="ignore"):
        logits: F64 = np.log(chance)
    return logits
