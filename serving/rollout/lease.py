"""One controller of a registry at a time: the second one is told who the first one is."""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import ExitStack
from pathlib import Path

from offpolicy.storage.claims import held

LEASE = ".rollout.controller"


class ControllerRunsError(OSError):
    """Another process, or another controller of this one, steps the rollout."""


class Lease:
    """Held from `take` until `give_back`, or until the process ends, however it does."""

    def __init__(self, folder: Path, by: str) -> None:
        self.file, self.by, self._held = folder / LEASE, by, ExitStack()
        self.taken = False

    def take(self) -> None:
        """Raises ControllerRunsError, which says who holds it."""
        if self.taken:
            return
        self.file.touch()
        if not self._held.enter_context(held(self.file)):
            self._held.close()
            raise ControllerRunsError(f"a controller runs already: {self._holder()}")
        self.taken = True
        me = {"pid": os.getpid(), "host": socket.gethostname(), "by": self.by, "since": time.time()}
        self.file.write_text(json.dumps(me))  # in place: the lock is of this file

    def give_back(self) -> None:
        """Let another controller begin."""
        self._held.close()
        self.taken = False

    def _holder(self) -> str:
        try:
            me = json.loads(self.file.read_text())
            since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(me["since"]))
            return f"process {me['pid']} on {me['host']}, by {me['by']}, since {since}"
        except (ValueError, KeyError, TypeError):
            return f"see who has {self.file} open"  # it has just begun
