"""A server under a small load that is stopped and started again: what it acknowledged is there."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

from experiments.reliability.kills.jobs import leftovers, prepare_policies
from experiments.reliability.kills.launching import BrokenPromiseError, Launcher, check_end
from serving import Registry
from serving.contracts.decisions import Decision
from serving.contracts.events import read_event
from serving.events.folder import SegmentFolder
from serving.events.log import REMOVED

URL = re.compile(r"serving on (http://\S+)")
ENDS = {signal.SIGKILL: -9, signal.SIGTERM: 0, signal.SIGINT: 130}  # exit status
PAUSE = 0.03  # s between requests
LONGEST, PATIENCE = 1.5, 120.0  # s under load, and for a start


class Stopped:
    """`longplay serve` of a small policy."""

    compared = "every decision that was acknowledged"

    def __init__(self, launcher: Launcher) -> None:
        self.launcher = launcher

    def once(self, place: Path, sent: signal.Signals, when: float) -> bool:
        """Load it, stop it, start it again and ask again; False: it was stopped under load.

        Raises BrokenPromiseError.
        """
        prepare_policies(place)
        registry = Registry(place / "registry")
        registry.promote(registry.add(place / "policy-0"))
        told = self._serve(place, 0, sent, when * LONGEST)
        known = _decisions(place / "registry" / "events")
        lost = [name for name, items in told.items() if known.get(name) != items]
        if lost:
            raise BrokenPromiseError(f"{len(lost)} of {len(told)} decisions are lost")
        last = len(told) - 1
        again = self._serve(place, max(last, 0), signal.SIGTERM, 0.05)
        if told and again.get(f"r{last}") != told[f"r{last}"]:
            raise BrokenPromiseError(f"r{last} is answered otherwise when it is asked again")
        left = [*leftovers(place), *(one.name for one in place.rglob("*.open"))]
        if left:
            raise BrokenPromiseError(f"left behind: {', '.join(left)}")
        return False

    def _serve(
        self, place: Path, first: int, sent: signal.Signals, seconds: float
    ) -> dict[str, tuple[str, ...]]:
        """Decisions that were answered until the signal, by request."""
        out = place / "out"
        arguments = ["serve", "--registry", str(place / "registry"), "--port", "0"]
        process = self.launcher.begin([arguments], out)
        told: dict[str, tuple[str, ...]] = {}
        try:
            url, until, nth = _url(Path(f"{out}.1")), time.monotonic() + seconds, first
            while time.monotonic() < until or nth == first:
                told[f"r{nth}"] = _ask(url, f"r{nth}")
                nth += 1
                time.sleep(PAUSE)
        finally:
            ended = self.launcher.end(process, out, sent, 0.0)
        if ended.status != ENDS[sent] or "Traceback" in ended.errors:
            raise BrokenPromiseError(f"status {ended.status}: {ended.errors[-300:]}")
        check_end(ended._replace(status=0), sent)
        return told


def _url(printed: Path) -> str:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if printed.exists() and (found := URL.search(printed.read_text(errors="replace"))):
            return found[1]
        time.sleep(0.01)
    raise ValueError("the server did not start")


def _ask(url: str, name: str) -> tuple[str, ...]:
    """The items of a decision. Raises ValueError for another answer."""
    asked = {"request_id": name, "user": "ann", "session": "s", "context": [0.5]}
    body, kind = json.dumps(asked).encode(), {"Content-Type": "application/json"}
    request = Request(f"{url}/decide", body, kind, method="POST")
    try:
        with urlopen(request, timeout=30) as answer:
            return tuple(json.load(answer)["items"])
    except URLError as error:
        raise ValueError(f"{name}: {error}") from error


def _decisions(folder: Path) -> dict[str, tuple[str, ...]]:
    """Items of every decision in a log. Raises ValueError where one is there twice."""
    log, found = SegmentFolder(folder), dict[str, tuple[str, ...]]()
    for writer in log.writers():
        for entry in log.read(writer):
            if entry.event == REMOVED:
                continue
            event = read_event(entry.event)
            if isinstance(event, Decision):
                if event.decision_id in found:
                    raise ValueError(f"{event.decision_id} is there twice")
                found[event.decision_id] = tuple(event.items)
    return found
