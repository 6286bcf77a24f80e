"""The audit of what was shown: rules counted afresh from the logged decision, not from the draw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from policies.observation import Observation
from policies.rules.constraints import Rule
from serving.contracts.decisions import Decision


def violations(
    decisions: Sequence[Decision], rules: Mapping[str, tuple[Rule, ...]]
) -> Counter[str]:
    """How many slates show an item twice, one that was not on offer, or break a rule.

    rules: by the hash that decisions carry; `unaudited` counts slates under rules that are not
    there. What a rule closes for a user's history is closed in the decision's candidates, and seen
    by them; of a whole catalogue, which lists none, it is not seen.
    """
    found: Counter[str] = Counter()
    under: dict[tuple[str, int], list[Decision]] = {}
    for one in decisions:
        shown = [item for item in one.slate if item >= 0]
        items = set(shown)
        found["twice"] += len(items) < len(shown)
        found["not_offered"] += one.candidates is not None and bool(
            items.difference(one.candidates)
        )
        under.setdefault((one.rules, len(one.slate)), []).append(one)
    for (key, _), some in under.items():
        if key not in rules:
            found["unaudited"] += len(some)
        elif rules[key]:
            found["rule"] += _broken(some, rules[key])
    return +found


def _broken(decisions: list[Decision], rules: tuple[Rule, ...]) -> int:
    """Slates (B, K) that break any of the rules."""
    slate = np.array([one.slate for one in decisions], np.int32)
    b = len(slate)
    obs = Observation(
        history_items=np.full((b, 1), -1, np.int32),
        history_responses=np.zeros((b, 1, 0), np.float32),
        user=np.zeros((b, 0), np.float32),
    )
    return int(np.any([rule.broken(obs, slate) > 0 for rule in rules], axis=0).sum())
