"""M7 to M10 and M12: histories, the event log, propensities and rules, as a server sees them."""

from __future__ import annotations

from functools import partial

from serving.metrics.estimates import LEVEL
from serving.metrics.kinds import Alert, Signal, Sli
from serving.metrics.statistics import count_of, effective_share, mean_of, quantile_of, share_of
from serving.metrics.table.series import AGE, AGES, SKEW, SURE, counter, state, summary

RECORDS = (
    Signal(
        AGE,
        "M7",
        "histogram",
        "seconds",
        "Time since the history that a decision saw last changed; new users have none.",
        edges=AGES,
        slis=(
            Sli(
                "history_age_p50",
                "Age of history, median",
                "s",
                "time since the history that was read last changed",
                partial(quantile_of, AGE, AGES, 0.5, 1.0),
                alert=Alert(
                    "ticket",
                    "rose",
                    "stale-features",
                    "See whether outcomes still arrive and the store of sessions takes them.",
                    window="30m",
                    lasts="30m",
                    factor=4.0,
                ),
            ),
            Sli(
                "history_age_p95",
                "Age of history, P95",
                "s",
                "the same, of the oldest 5 %",
                partial(quantile_of, AGE, AGES, 0.95, 1.0),
            ),
        ),
        by_arm=True,
    ),
    counter(
        "longplay_histories",
        "M8",
        "Decisions by whether the user had taken anything before.",
        "history",
        ("known", "new"),
        Sli(
            "new_users",
            "Without history",
            "share",
            "decisions for users of whom nothing is known yet",
            partial(share_of, "longplay_histories", ("new",), ("known", "new")),
            alert=Alert(
                "ticket",
                "rose",
                "cold-start",
                "See whether new users come or a store of sessions has lost the old ones.",
                window="30m",
                lasts="30m",
                factor=2.0,
            ),
        ),
        by_arm=True,
    ),
    counter(
        "longplay_decisions",
        "M9",
        "Decisions answered, by whether the event log holds them.",
        "logged",
        ("true", "false"),
        Sli(
            "logged",
            "Logged",
            "share",
            "answers that the event log holds",
            partial(share_of, "longplay_decisions", ("true",), ("true", "false")),
            ">=",
            0.999,
            Alert(
                "page",
                "burn",
                "log-loss",
                "See whether the event log's disk or server is full, slow or gone.",
            ),
        ),
        by_arm=True,
    ),
    counter(
        "longplay_awaited",
        "M9",
        "Logged decisions whose time for outcomes is "
        "over, by whether any came; a sample where there are many.",
        "outcome",
        ("known", "none"),
        Sli(
            "outcomes_known",
            "Outcomes known",
            "share",
            "decisions of which an outcome came in time",
            partial(share_of, "longplay_awaited", ("known",), ("known", "none")),
            alert=Alert(
                "page",
                "fell",
                "log-loss",
                "See whether the caller still sends outcomes and the server keeps them.",
                window="30m",
                lasts="15m",
                factor=0.5,
                fields=(),
            ),
        ),
    ),
    counter("longplay_outcomes", "M9", "Outcomes logged, by kind.", "kind"),
    state("longplay_events_number", "Number of the last decision's event.", label="writer"),
    counter(
        "longplay_violations",
        "M12",
        "Slates shown that the rules, counted afresh from the logged decision, forbid.",
        "check",
        ("twice", "not_offered", "rule"),
        Sli(
            "violations",
            "Violations",
            "slates",
            "slates shown in breach of a rule",
            partial(count_of, "longplay_violations"),
            target=0.0,
            alert=Alert(
                "page",
                "bound",
                "constraint-breach",
                "Roll back at once, then find the decisions and the rule that they break.",
                window="10m",
                lasts="0m",
            ),
        ),
        by_arm=True,
    ),
    counter(
        "longplay_unaudited",
        "M12",
        "Slates under rules that are not known here, of which only the items were audited.",
    ),
    summary(
        "longplay_propensity",
        "",
        "Probability of the whole slate, of the policy's decisions.",
        Sli(
            "propensity",
            "Propensity, mean",
            "",
            "mean chance of the slate drawn",
            partial(mean_of, "longplay_propensity", LEVEL),
        ),
    ),
    summary(
        "longplay_first_place_entropy",
        "nats",
        "Entropy of the first place, of the policy's decisions that log its probabilities.",
        Sli(
            "entropy",
            "Entropy, first place",
            "nats",
            "mean entropy of the first place",
            partial(mean_of, "longplay_first_place_entropy", LEVEL),
            alert=Alert(
                "ticket",
                "fell",
                "propensities",
                "See whether a version explores less: its log cannot vouch for another policy.",
                window="30m",
                lasts="30m",
                factor=0.5,
            ),
        ),
    ),
    summary(
        "longplay_first_place_weight",
        "",
        "Weight of a policy that draws the first place by the square root of its probabilities; "
        "its mean is 1 where the logged propensities are those that were played.",
        Sli(
            "mean_weight",
            "Mean weight",
            "",
            "1 where the logged propensities are those that were played",
            partial(mean_of, "longplay_first_place_weight", SURE, least=SKEW),
            "=",
            1.0,
            Alert(
                "page",
                "bound",
                "propensities",
                "Roll back and stop learning: the log does not say what was played.",
                lasts="10m",
            ),
        ),
        Sli(
            "effective_sample",
            "Effective sample",
            "share",
            "as good as so many of the weighted decisions",
            partial(effective_share, "longplay_first_place_weight"),
        ),
    ),
    counter(
        "longplay_unknown_items",
        "M8",
        "Items of given histories that the catalogue does not have; they are skipped.",
    ),
)
