"""The runbook's sections about what the log says: value, drift, loss, poisoning, arms."""

from __future__ import annotations

from serving.signals.feeds.commands import WATCH
from serving.signals.sections import CHECK, JOIN, ROLLBACK, Section, commands

STOP = 'longplay release stop --registry R --why "what was seen"'

EVIDENCE = (
    Section(
        "stale-features",
        "Stale features",
        "Histories are older than on the day before, or decisions saw another history than the "
        "log derives: the store of sessions lags, was restored in part, or refuses outcomes.",
        commands("curl -s $URL/metrics | grep -E 'history_age|reason=\"sessions\"'", JOIN)
        + "\nThe join counts `skewed_histories`: decisions whose history is not the log's.",
        "Restart the store, or the server with a URL of sessions that is empty: it restores them "
        "from the event log.\n\n"
        + commands("longplay serve --registry R --events E --read-back 60"),
        "The median age is that of the day before, and a fresh join counts no skewed histories.",
        "Propensities are right: they are those of the history that was seen, and its hash is "
        "logged. A policy that is learned from histories which the log derives has not seen what "
        "was served, though: leave sessions with skewed histories out of learning.",
    ),
    Section(
        "drift",
        "Drift",
        "Inputs, propensities or outcomes are not what they were, and value or overlap moves with "
        "them. A change that moves neither raises no alarm.",
        commands(JOIN, "longplay drift joined --reference before"),
        "Retrain from a cut of the log after the change. The new version stands at the gate and "
        "then begins as a canary; it is never promoted by itself.\n\n"
        + commands(
            "longplay retrain --registry R --log joined",
            "longplay release canary VERSION --registry R --events E --reward liked=1",
            WATCH,
        ),
        "The canary reached 100 %, and the drift report against the new reference has no finding "
        "that counts.",
        "The log before the change tells of other users' wishes: it does not vouch for what is "
        "served now. Evaluate on the part after the change, and take it as the new reference.",
    ),
    Section(
        "cold-start",
        "Cold start",
        "The share of decisions without a history doubled: a wave of new users, or a store of "
        "sessions that lost the old ones.",
        commands("curl -s $URL/metrics | grep longplay_histories_total", JOIN)
        + "\nUsers who have decisions in the log and no history now: the store lost them (see "
        "[stale features](#stale-features)). Users without any: they are new.",
        "New users: hold a rollout, since its arms are read on other users than planned; see that "
        "the version serves new users at all well, by segment.\n\n"
        + commands('longplay release hold --registry R --why "a wave of new users"'),
        "The share is below twice that of the day before.",
        "It is sound, and of another mix of users: report value by segment, or weigh segments as "
        "they were.",
    ),
    Section(
        "log-loss",
        "Log loss",
        "Decisions are answered and not logged, event numbers are missing, outcomes no longer "
        "come, or an arm is silent. What is not logged is answered by the fallback, which does not "
        "explore.",
        commands("df -h E", "curl -s $URL/metrics | grep -E 'longplay_(decisions|awaited)_total'"),
        "Make room, or move the log and restart the server with it; retire old segments that were "
        "joined.\n\n"
        + commands("longplay retire E --older-than 30d")
        + "\n\nNo learning and no rollout goes on meanwhile; the controller holds by itself where "
        "it sees no data.\n\n"
        + commands('longplay release hold --registry R --why "the log loses events"'),
        '`longplay_decisions_total{logged="false"}` no longer rises, and numbers have no new gaps.',
        "It depends on what was lost. Decisions by chance: wider intervals. Outcomes: rewards are "
        "too small, and a join of that time must not be learned from. A hole in one arm: no "
        "comparison holds over it.\n\n" + commands(JOIN, CHECK),
    ),
    Section(
        "propensities",
        "Propensities",
        "The mean weight is not 1: the logged probabilities are not those that were played. Or the "
        "first place's entropy fell: the version hardly explores.",
        commands(JOIN, CHECK)
        + "\nThe doctor names the propensity check that failed, by logger and version.",
        "Mean weight: roll back and stop learning; it is a fault of the software.\n\n"
        + commands(ROLLBACK)
        + "\n\nEntropy: compare the versions' temperatures; a version that does not explore leaves "
        "a log that vouches for nothing but itself.",
        "The mean weight's interval holds 1 on a fresh log.",
        "With wrong propensities no estimate from these decisions can be trusted, and none can be "
        "mended afterwards. Leave out the version's decisions of that time (`longplay join "
        "--policy`). With little entropy the log is right and says little.",
    ),
    Section(
        "diversity",
        "Diversity",
        "As many effective items as half of the day before: a few items fill the slates.",
        commands("longplay explain --registry R --history ITEM ITEM")
        + "\nLook for one part of the score that outweighs the others, and for a shrunken "
        "catalogue.",
        "A version: roll back. A catalogue or candidates that shrank: mend their source.\n\n"
        + commands(ROLLBACK),
        "Effective items are back where they were the day before.",
        "Items that were not shown have no rows: the log says nothing of them, and a policy that "
        "shows them cannot be judged by it.",
    ),
    Section(
        "value",
        "Value",
        "Reward a session, returns or the sessions' length fell by a fifth against the day before.",
        commands(
            JOIN, CHECK, "longplay evaluate joined --target-scores T.npy --horizon per_decision"
        )
        + "\nFirst see whether outcomes are missing ([log loss](#log-loss)): that is the usual "
        "cause.",
        "In one arm alone: the version is the cause, roll back. In both: look for "
        "[drift](#drift), and for a change of the page.\n\n" + commands(ROLLBACK),
        "The interval of the reward holds the day before's.",
        "It is sound, unless outcomes were lost.",
    ),
    Section(
        "sample-ratio",
        "Sample ratio",
        "The arms do not have their shares of users, or users are seen in both arms: users get "
        "lost on the way to one of them, and those who remain are not comparable.",
        commands("longplay release rollout --registry R", "longplay trial read E --reward liked=1"),
        "Stop the rollout; do not read its differences. Look for servers with other secrets or "
        "salts, for callers that change user ids, and for requests that one arm alone fails.\n\n"
        + commands(STOP),
        "A new rollout, with a new salt, has its shares.",
        "Each arm's log by itself is sound and can be weighed by its propensities; the difference "
        "of the arms' means is not an effect.",
    ),
    Section(
        "poisoning",
        "Poisoning",
        "A few users, or users who behave like bots, bring much of the traffic or of the reward. "
        "What is learned from them is learned for them.",
        commands(JOIN, f"{CHECK} --users")
        + "\nThe report names users that add more than a heavy tail allows, with their share, and "
        "users who behave like bots.",
        "Refuse their calls at the door, forget single users, and cap what one user adds at the "
        "join before anything is learned.\n\n"
        + commands(
            "longplay forget USER --url $URL", 'longplay release hold --registry R --why "bots"'
        ),
        "The share of the top 1 % is below 20 %, that of bots below 5 %.",
        "Decisions and propensities are right; outcomes of these users are not wishes. Join again "
        "with a cap, or without them, and compare both values before learning.",
    ),
    Section(
        "watch",
        "The watch of a rollout",
        "A canary serves users and nobody looks: the controller was killed, hangs, or was never "
        "started. It would roll nothing back.",
        commands("longplay release rollout --registry R"),
        "Start it again: its journal says where it stopped, and a second one is refused.\n\n"
        + commands(WATCH)
        + "\n\nWhere it cannot be started, stop the canary:\n\n"
        + commands(STOP),
        "`longplay_watch_time_seconds` moves on.",
        "It is whole: servers log without the watch. The controller reads what it missed and takes "
        "no step for time in which nobody looked.",
    ),
)
