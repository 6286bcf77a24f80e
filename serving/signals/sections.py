"""The runbook's sections about a server: traffic, errors, latency, rollback, rules, cost."""

from __future__ import annotations

from typing import NamedTuple


class Section(NamedTuple):
    """A subject; paragraphs of Markdown. R and E stand for the registry and the event log."""

    anchor: str
    title: str
    means: str
    confirm: str
    act: str
    over: str
    log: str  # what the log is worth afterwards


def commands(*lines: str) -> str:
    """A block of commands."""
    return "\n".join(("```sh", *lines, "```", ""))


STATUS = 'curl -s -H "Authorization: Bearer $LONGPLAY_TOKEN" $URL/status | python3 -m json.tool'
ROLLBACK = 'longplay release rollback --registry R --why "what was seen"'
JOIN = "longplay join E --reward liked=1 --now end --out joined"
CHECK = "longplay check joined"

SERVING = (
    Section(
        "traffic",
        "Traffic",
        "Requests stopped, fell to less than half of the day before, or Prometheus finds no "
        "server. Users may see nothing, or the page that asks may have changed.",
        commands("curl -s -o /dev/null -w '%{http_code}\\n' $URL/ready", STATUS)
        + "\n200 and a policy in `/status`: the server is well, look at the caller. 503 or no "
        "answer: look at the server's log.",
        "Where the server is gone, start it again; it restores sessions from the end of the event "
        "log and serves the registry's live version.\n\n"
        + commands("longplay serve --registry R --events E"),
        "`longplay_requests_total` rises again as on the day before.",
        "Decisions that were logged are whole: an event is written before its reply. The joined "
        "log lacks the time of the outage, and is otherwise as good as before.",
    ),
    Section(
        "errors-and-fallbacks",
        "Errors and fallbacks",
        "Requests fail, or the fallback answers in the policy's place. The reason names the part: "
        "`deadline` (load), `sessions` (their store), `event_log`, `policy` (an error or scores "
        "that are not finite), `rule` (a draw that broke one).",
        commands("curl -s $URL/metrics | grep -E 'longplay_(fallbacks|refusals)_total'", STATUS)
        + "\nCompare arms: a fault of one version alone is the version's.",
        "`policy` or `rule` in one version: roll back.\n\n"
        + commands(ROLLBACK)
        + "\n\n`deadline`: see [latency](#latency). `sessions`: see "
        "[stale features](#stale-features). `event_log`: see [log loss](#log-loss).",
        "The share of fallbacks is below 1 % for half an hour, and no budget burns.",
        "Answers of the fallback are logged with their own exact propensities and can be weighed. "
        "They are no evidence about the policy: a comparison of arms leaves out none of them, or "
        "it compares users who were lucky.",
    ),
    Section(
        "latency",
        "Latency",
        "More answers than 1 % take longer than 50 ms from receipt to the logged decision. Either "
        "they wait in the queue (load, or one slow batch) or the work itself is slow (a larger "
        "version, the event log's disk, the store of sessions).",
        commands("curl -s $URL/metrics | grep -E 'longplay_(queue_length|decision_w)'")
        + "\nQueue wait high and work as before: load. Work high: compare versions and arms.",
        "Load: add a server, or lower the caller's rate. A slow version: roll back.\n\n"
        + commands(ROLLBACK)
        + "\n\nA slow disk: move the event log, or give a log of another kind.",
        "P99 is below 50 ms for half an hour.",
        "Late requests were answered by the fallback, and are logged as such. Nothing is lost; "
        "where the share of fallbacks was large, the log of that time says less about the policy.",
    ),
    Section(
        "model-rollback",
        "Model rollback",
        "A version is worse than the one before, or the registry's pointer names a version that "
        "the server cannot load. A rollback is one command and one rename; servers follow within "
        "a second.",
        commands("longplay release list --registry R", STATUS)
        + "\nThe live version of both is the same, and `since` is after the change.",
        commands(ROLLBACK)
        + "\n\nWhile a canary runs this removes the canary and leaves what is live as it is. Where "
        "servers do not follow, their log names the reason; restart one with the registry as it "
        "is.",
        "`/status` names the version that you want, on every server, and its signals are on "
        "target.",
        "Decisions name the version that drew them, so that both versions' rows stay usable. Keep "
        "the rolled back version in the registry: its log cannot be explained without it.",
    ),
    Section(
        "constraint-breach",
        "Constraint breach",
        "A slate was shown that a rule forbids: an item twice, one that was not on offer, or a "
        "broken cap, quota or ban. The audit counts the rules afresh from the logged decision, so "
        "that it also sees a rule that vanished between the draw and the reply.",
        commands("curl -s $URL/metrics | grep longplay_violations_total")
        + "\nThe label `check` says which, `version` and `arm` whose it is.",
        "Roll back at once; do not wait for an interval.\n\n"
        + commands(ROLLBACK)
        + "\n\nThen explain a decision of that time, which names the rules it was under:\n\n"
        + commands("longplay explain --registry R --events E --decision ID"),
        "`longplay_violations_total` no longer rises, and the cause is known.",
        "The decisions are logged as they were shown. Rows that break a rule have no chance under "
        "a policy that keeps it: the doctor says so, and a target under the rules leaves them out.",
    ),
    Section(
        "cost",
        "Cost and restarts",
        "A decision takes more processor time than 10 ms, memory grows, or the process was "
        "restarted more than once within half an hour: for want of memory, most likely.",
        commands("dmesg | grep -i 'out of memory' | tail", "curl -s $URL/metrics | grep ^process_"),
        "A larger version: roll back, and add it with a limit that it does not meet.\n\n"
        + commands(ROLLBACK)
        + "\n\nAnother process that takes the machine: move it, or the server.",
        "No restart for an hour; memory is level.",
        "After a kill every acknowledged event is in the log. At most the last, torn event is left "
        "out when it is read, and no one was answered by it.",
    ),
)
