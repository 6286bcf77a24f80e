"""Which command gives which readings, and the lines of a crontab that run them."""

from __future__ import annotations

from typing import NamedTuple

WATCH = "longplay release watch --registry R --events E --metrics M/longplay_watch.prom"


class Feed(NamedTuple):
    """A command with --metrics."""

    of: str  # what its readings are of
    cron: str  # its line of a crontab; "" = it goes on by itself while a rollout does


FEEDS = {
    "release watch": Feed("the last look at a rollout", ""),
    "join": Feed(
        "the last day of the log, and the day before",
        "10 * * * * rm -rf J/log && longplay join E --reward liked=1 --out J/log "
        "--metrics M/longplay_join.prom > J/join.txt",
    ),
    "check": Feed(
        "the whole joined log",
        "25 * * * * longplay check J/log --users --metrics M/longplay_check.prom > J/check.txt",
    ),
    "drift": Feed(
        "the joined log against one from before",
        "40 * * * * longplay drift J/log --reference J/before "
        "--metrics M/longplay_drift.prom > J/drift.txt",
    ),
}
