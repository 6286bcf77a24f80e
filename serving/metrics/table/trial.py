"""M4 to M6 and M13: what the arms of a rollout are worth, and whether they can be compared.

Series with a label `arm` or `metric` have one reading for each of its values.
"""

from __future__ import annotations

from serving.metrics.kinds import Alert, Sli
from serving.metrics.table.series import WATCH, reading

TRIAL = (
    reading(
        "longplay_session_reward",
        "M4",
        "Mean reward of a session in the last day, by arm; of a rollout's arms in its stage.",
        "arm",
        Sli(
            "session_reward",
            "Reward a session",
            "",
            "mean reward of a session",
            alert=Alert(
                "ticket",
                "fell",
                "value",
                "See whether outcomes are missing; if none are, look for drift and for a version.",
                window="1h",
                lasts="1h",
                factor=0.8,
                fields=("version", "arm"),
            ),
        ),
        fed_by=(WATCH, "join"),
    ),
    reading(
        "longplay_uplift",
        "M5",
        "Canary minus control for each user, by metric, valid at any time.",
        "metric",
        Sli(
            "uplift",
            "Uplift of the canary",
            "",
            "canary minus control for each user; the interval is valid at any time",
            op=">=",
            target=0.0,
            alert=Alert(
                "ticket",
                "bound",
                "model-rollback",
                "See that the controller has rolled the canary back; do it where it has not.",
                lasts="0m",
                fields=("version", "metric"),
            ),
        ),
        fed_by=(WATCH,),
    ),
    reading(
        "longplay_return",
        "M6",
        "Share of users of the day before who began another session in the last day, by arm.",
        "arm",
        Sli(
            "returns",
            "Returns",
            "share",
            "users of the day before who began another session in the last day",
            alert=Alert(
                "ticket",
                "fell",
                "value",
                "Compare arms and days: what is good at once may keep users away later.",
                window="1h",
                lasts="1h",
                factor=0.8,
                fields=("version", "arm"),
            ),
        ),
        fed_by=("join",),
    ),
    reading(
        "longplay_session_length",
        "M6",
        "Mean number of decisions of a session in the last day, by arm.",
        "arm",
        Sli(
            "session_length",
            "Session length",
            "decisions",
            "mean number of decisions of a session",
            alert=Alert(
                "ticket",
                "fell",
                "value",
                "Compare arms and days: users leave earlier.",
                window="1h",
                lasts="1h",
                factor=0.8,
                fields=("version", "arm"),
            ),
        ),
        fed_by=("join",),
    ),
    reading(
        "longplay_sample_ratio_p",
        "M13",
        "p-value, valid at any time, of the arms' shares of users being those of the rollout.",
        "",
        Sli(
            "sample_ratio",
            "Sample ratio",
            "",
            "p-value of the arms having their shares of users; valid at any time",
            op=">=",
            target=0.001,
            alert=Alert(
                "page",
                "bound",
                "sample-ratio",
                "Stop the rollout: users get lost on the way to an arm, and no difference counts.",
                lasts="0m",
            ),
        ),
        fed_by=(WATCH,),
    ),
    reading(
        "longplay_multiple_exposure",
        "M13",
        "Share of users seen in both arms of a stage.",
        "",
        Sli(
            "multiple_exposure",
            "In both arms",
            "share",
            "users seen in both arms of a stage",
            target=0.001,
            alert=Alert(
                "ticket",
                "bound",
                "sample-ratio",
                "See whether servers have different salts, or callers change their user ids.",
                lasts="0m",
            ),
        ),
        fed_by=(WATCH,),
    ),
)
