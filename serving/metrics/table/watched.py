"""M7 to M10, M14 and the rollout: what only the process that watches the log can see."""

from __future__ import annotations

from serving.metrics.kinds import Alert, Sli
from serving.metrics.table.series import reading

WATCHED = (
    reading(
        "longplay_history_mismatch",
        "M7",
        "Share of joined decisions whose history is not the one that the log derives.",
        "",
        Sli(
            "history_mismatch",
            "History mismatch",
            "share",
            "decisions that saw another history than the log derives",
            target=0.001,
            alert=Alert(
                "ticket",
                "bound",
                "stale-features",
                "See whether the store of sessions lags or was restored in part; do not learn "
                "from these sessions.",
                lasts="10m",
            ),
        ),
    ),
    reading(
        "longplay_drift_findings",
        "M8",
        "Findings of drift that count: those which move value or overlap.",
        "",
        Sli(
            "drift",
            "Drift that counts",
            "",
            "findings of drift that move value or overlap",
            target=0.0,
            alert=Alert(
                "ticket",
                "bound",
                "drift",
                "Read the drift report, then retrain from a cut of the log after the change.",
                lasts="0m",
            ),
        ),
    ),
    reading(
        "longplay_log_incomplete",
        "M9",
        "Share of the events of a rollout that are missing in the log, by their numbers.",
        "",
        Sli(
            "log_incomplete",
            "Events missing",
            "share",
            "events that the log lacks, by the numbers of their writers",
            target=0.001,
            alert=Alert(
                "page",
                "bound",
                "log-loss",
                "Stop the rollout and learning; see which writer loses events, and since when.",
            ),
        ),
    ),
    reading(
        "longplay_log_silence_seconds",
        "M9",
        "Time since the last event of an arm that ought to have some.",
        "arm",
        Sli(
            "log_silence",
            "Silence of the log",
            "s",
            "time since the last event of an arm",
            target=300.0,
            alert=Alert(
                "page",
                "bound",
                "log-loss",
                "See whether servers still write and the watch still reads the same log.",
                lasts="0m",
                fields=("version", "arm"),
            ),
        ),
    ),
    reading(
        "longplay_arm_mean_weight",
        "M10",
        "Mean weight of an arm's decisions; 1 where the logged propensities were played.",
        "arm",
        Sli(
            "arm_mean_weight",
            "Mean weight of an arm",
            "",
            "1 where the arm's logged propensities are those that were played",
            op="=",
            target=1.0,
            alert=Alert(
                "page",
                "bound",
                "propensities",
                "Roll the arm back and stop learning from it.",
                lasts="0m",
                fields=("version", "arm"),
            ),
        ),
    ),
    reading(
        "longplay_top_users_share",
        "M14",
        "Share of the reward that comes from the 1 % of users with the most.",
        "",
        Sli(
            "top_users",
            "Top users",
            "share",
            "reward that comes from the 1 % of users with the most",
            target=0.2,
            alert=Alert(
                "ticket",
                "bound",
                "poisoning",
                "Value without these users; cap their influence at the join before learning.",
                lasts="30m",
            ),
        ),
    ),
    reading(
        "longplay_bots_share",
        "M14",
        "Share of decisions of users who behave like bots.",
        "",
        Sli(
            "bots",
            "Bots",
            "share",
            "decisions for users who behave like bots",
            target=0.05,
            alert=Alert(
                "ticket",
                "bound",
                "poisoning",
                "Hold the rollout; leave these users out of the join, and refuse their calls.",
                lasts="30m",
            ),
        ),
    ),
    reading(
        "longplay_rollout_weight",
        "",
        "Share of users that the canary serves.",
    ),
    reading("longplay_rollout_phase", "", "1 for the phase that a rollout is in.", "phase"),
    reading("longplay_rollout_steps", "", "Steps that the controller has taken."),
    reading(
        "longplay_watch_time_seconds",
        "M9",
        "When the watch last looked at the log, since 1970.",
        "",
        Sli(
            "watch_silent",
            "Watch silent",
            "",
            "a rollout runs, and nobody has looked at the log for ten minutes",
            alert=Alert(
                "page",
                "expr",
                "watch",
                "Start `longplay release watch` again: it goes on where it stopped.",
                lasts="0m",
                fields=(),
                promql="(time() - max by (pipeline) (longplay_watch_time_seconds) > 600) and on "
                "(pipeline) (max by (pipeline) (longplay_rollout_weight) > 0)",
            ),
        ),
        Sli(
            "canary_unwatched",
            "Canary unwatched",
            "",
            "a canary serves users, and no watch is there",
            alert=Alert(
                "page",
                "expr",
                "watch",
                "Start `longplay release watch`, or stop the canary: nobody would roll it back.",
                lasts="10m",
                promql='sum by (pipeline, version) (rate(longplay_decisions_total{arm="canary"}'
                "[5m])) > 0 unless on (pipeline) longplay_watch_time_seconds",
            ),
        ),
    ),
)
