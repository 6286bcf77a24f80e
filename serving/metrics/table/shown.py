"""M11 and M15: diversity of what is shown, and what a decision costs."""

from __future__ import annotations

from functools import partial

from serving.metrics.estimates import exact
from serving.metrics.kinds import Alert, Signal, Sli
from serving.metrics.statistics import distinct, effective, per_decision
from serving.metrics.table.series import process

SHOWN = (
    Signal(
        "longplay_items_shown_distinct",
        "M11",
        "gauge",
        "",
        "Items that were shown at least once in the window.",
        slis=(Sli("items_shown", "Items shown", "items", "items shown at least once", distinct),),
        by_arm=True,
    ),
    Signal(
        "longplay_items_shown_effective",
        "M11",
        "gauge",
        "",
        "exp of the entropy of what was shown in the window.",
        slis=(
            Sli(
                "items_effective",
                "Effective items",
                "items",
                "as diverse as so many items, each shown equally often",
                effective,
                alert=Alert(
                    "ticket",
                    "fell",
                    "diversity",
                    "Compare what is shown with the day before: a version or the catalogue "
                    "shows few items.",
                    window="30m",
                    lasts="30m",
                    factor=0.5,
                ),
            ),
        ),
        by_arm=True,
    ),
    process(
        "process_cpu",
        "seconds",
        "M15",
        "Processor time of the server.",
        Sli(
            "cpu_ms",
            "CPU a decision",
            "ms",
            "processor time of the whole server for each decision",
            partial(per_decision, "process_cpu", 1e3),
            target=10.0,
            alert=Alert(
                "ticket",
                "bound",
                "cost",
                "Compare versions: a larger policy or more candidates cost more.",
                window="30m",
                lasts="1h",
                fields=(),
            ),
        ),
    ),
    process(
        "process_resident_memory",
        "bytes",
        "M15",
        "Memory that the server holds.",
        Sli(
            "memory",
            "Memory",
            "MB",
            "memory that the server holds",
            of_state=lambda state: None if state.memory is None else exact(state.memory / 1e6, 1),
            alert=Alert(
                "ticket",
                "rose",
                "cost",
                "Look for what grows before the process is killed for want of memory.",
                lasts="30m",
                factor=1.5,
                fields=(),
            ),
        ),
    ),
)
