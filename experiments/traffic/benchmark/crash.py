"""kill -9 at random moments under load: what was acknowledged must be there afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

import numpy as np

from experiments.traffic.benchmark.bench import MAIN, Bench, Row, audited, zero
from experiments.traffic.benchmark.process import ServerProcess
from experiments.traffic.play import play
from experiments.traffic.record import Record
from experiments.traffic.report import percent
from experiments.traffic.schedule import Phase
from experiments.traffic.summary import share
from serving.contracts.fields import ContractError
from serving.events.log import EventLogError

READY = 10.0  # s, target
UP = 0.2, 3.0  # s between the moment when it is ready and the next kill: uniform
PATIENCE = 60.0  # s that are planned for each kill


class _Killer(threading.Thread):
    """Kills a server and starts it again, a number of times; then ends the load."""

    def __init__(self, server: ServerProcess, kills: int, seed: int) -> None:
        super().__init__(name="killer")
        self.server, self.kills = server, kills
        self.ready = list[float]()  # s from each start until ready
        self.over = threading.Event()
        self.failed: Exception | None = None
        self._rng = np.random.default_rng(seed)

    def run(self) -> None:
        try:
            for _ in range(self.kills):
                time.sleep(self._rng.uniform(*UP))
                self.server.kill()
                self.server.start()
                self.ready.append(self.server.cold_start)
            time.sleep(UP[1])
        except Exception as error:  # noqa: BLE001  (raised where the thread is joined)
            self.failed = error
        finally:
            self.over.set()


def crash(bench: Bench, kills: int, rps: float) -> tuple[list[Row], Record]:
    """Kills, on the log of MAIN, so that a start finds as long a log as there is. The server's port
    stays the same."""
    part = f"kill -9 under {rps:,.0f} a second"
    with bench.server(MAIN) as server:
        server.arguments = [*server.arguments[:-1], str(urlsplit(server.url).port)]
        killer = _Killer(server, kills, bench.seed)
        killer.start()
        plan = bench.plan([Phase(rps, (kills + 1) * PATIENCE)], 200)
        record = play(server.url, plan, stop=killer.over)
        killer.join()
        if killer.failed is not None:
            raise killer.failed
    good, n = int(record.decides.good.sum()), len(record.decides)
    ready = killer.ready
    rows = [
        Row(part, "kills", f"{len(ready)}"),
        Row(
            part, "s until ready again: median, largest",
            f"{np.median(ready):.1f}, {max(ready):.1f}", f"< {READY:g}", max(ready) < READY,
        ),
        Row(part, "answered, of what was due while it was up or down", percent(share(good, n))),
    ]  # fmt: skip
    return rows, record


def audited_main(bench: Bench, records: Sequence[Record]) -> list[Row]:
    """What the log of MAIN holds after all of it. A torn record would be no event."""
    part = "the log of load and kills"
    try:
        found = bench.audit(str(bench.events(MAIN)), records)
    except (EventLogError, ContractError) as error:
        return [Row(part, "torn records", f"{error}", "0", False)]
    return [zero(part, "torn records", 0, f" among {found.events:,}"), *audited(part, found)]
