"""Do ids mean what they should: items counted from 0, users who are several?"""

from __future__ import annotations

import numpy as np

from offpolicy.doctor.findings import Finding, Level
from offpolicy.errors import LogError
from offpolicy.log.dataset import LoggedDataset

NAME = "item ids"


def item_ids(log: LoggedDataset, means: Level) -> Finding | None:
    """Items that the table's reader had to assume, below the smallest id in it: with the size of
    the catalogue unknown, it ends at the largest id seen and begins at 0. `means` is the worst level of
    the mean weights, which an item too many takes below 1. None where nothing was
    assumed."""
    if not log.provenance.inferred_items:
        return None
    rule = "Item ids run from 0 to n_items - 1."
    columns = [x for x in (log.slate, log.candidates, log.consumed) if x is not None]
    least = min(int(x[x >= 0].min()) if (x >= 0).any() else log.n_items for x in columns)
    if least == 0 or least >= log.n_items:
        return Finding(NAME, Level.PASS, f"items 0 to {log.n_items - 1}, as far as seen", rule)
    which = "item 0 is" if least == 1 else f"items 0 to {least - 1} are"
    return Finding(
        NAME,
        Level.FAIL if means > Level.PASS else Level.WARN,
        f"{which} never shown or offered: ids seem to start at {least}",
        rule,
        f"If they do, subtract {least} from every id (of targets too); if the catalogue does hold "
        f"{np.arange(least)[:3].tolist()} …, say so with n_items (--n-items).",
    )


def users(log: LoggedDataset) -> Finding | None:
    """A user column that tells nobody apart; None where there is none to speak of."""
    try:
        log.require_users()
    except LogError as error:
        return Finding("users", Level.FAIL, str(error), "Users are the independent units.")
    return None
