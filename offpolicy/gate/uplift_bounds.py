"""The interval of an uplift that a rule of the gate asks for."""

from __future__ import annotations

from collections.abc import Mapping

from offpolicy.estimators.engine import Estimate
from offpolicy.gate.verdict import GateRule
from offpolicy.intervals.bounds import confidence_sequence
from offpolicy.intervals.gamma import Unseen
from offpolicy.intervals.inference import Interval
from offpolicy.intervals.multiplicity import bonferroni, simultaneous


def uplift_bounds(
    uplifts: Mapping[str, Estimate], unseen: Mapping[str, Unseen], rule: GateRule
) -> dict[str, Interval]:
    """Of every candidate, holding together; at all looks at the log too where it is monitored.

    Raises:
        ValueError: no candidates, or estimates on different units.
    """
    if not rule.monitored:
        return simultaneous(uplifts, rule.level, unseen=unseen)
    each = bonferroni(rule.level, len(uplifts))
    return {k: confidence_sequence(e, each, unseen=unseen[k]) for k, e in uplifts.items()}
