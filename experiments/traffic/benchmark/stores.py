"""Redis or NATS behind the server, killed under load and back again."""

from __future__ import annotations

from experiments.traffic.benchmark.backing import Backing, Kind, find_binary
from experiments.traffic.benchmark.bench import Bench, Row, audited
from experiments.traffic.benchmark.outage import outage, outage_rows
from experiments.traffic.schedule import Phase


def store_killed(bench: Bench, kind: Kind, rps: float, seconds: float) -> list[Row]:
    """Events, and on Redis sessions too, are on a server that is gone for the middle third of the
    time. Its acknowledgements outlive kill -9 of it: what it wrote is with the operating system."""
    part = f"{kind} killed and back"
    binary = find_binary(kind)
    if binary is None:
        return [Row(part, "not measured", f"there is no {kind} server on this machine")]
    backing = Backing(kind, binary, bench.folder / f"{kind}-data")
    backing.start()
    try:
        options = ["--sessions", backing.url] if kind == "redis" else []
        with bench.server(kind, events=backing.url, options=options) as server:
            phase = Phase(rps, seconds)
            record, watched = outage(bench, server, phase, backing.kill, backing.start, 400)
        rows = outage_rows(part, record, watched, server.said())
        return rows + audited(part, bench.audit(backing.url, [record]), outage=True)
    finally:
        backing.kill()
