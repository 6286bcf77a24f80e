"""The server at given rates and beyond what it can do, and the plain handler beside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from experiments.traffic.benchmark.bench import MAIN, Bench, Row
from experiments.traffic.benchmark.process import ServerProcess
from experiments.traffic.play import play
from experiments.traffic.record import Record
from experiments.traffic.report import ms, percent
from experiments.traffic.schedule import Phase
from experiments.traffic.summary import route, share, summary

P95, P99, SUCCESS = 30.0, 50.0, 0.999  # targets: ms, ms, share
OVERLOAD_P99 = 60.0  # ms, of what is answered
STEP, FIRST = 1.25, 300.0  # of the rates that are tried for the capacity, and decisions a second
ENOUGH = 0.99  # share that the policy answers itself, up to the capacity
BIN, CALM = 0.1, 10  # s; so many of them without a refusal or fallback are a recovery


def steady_rows(part: str, record: Record, server: ServerProcess, cpu: float) -> list[Row]:
    """Of a run at one rate; cpu: s that the server used."""
    figures = summary(record)
    p50, p95, p99 = figures.decide.latency_ms.values()
    calls = len(record.decides) + len(record.outcomes)
    late = figures.lateness_ms
    return [
        Row(part, "decide P50 ms", ms(p50)),
        Row(part, "decide P95 ms", ms(p95), f"< {P95:g}", p95.value < P95),
        Row(part, "decide P99 ms", ms(p99), f"< {P99:g}", p99.value < P99),
        Row(part, "outcome P99 ms", ms(figures.outcome.latency_ms[0.99])),
        Row(
            part, "decide success", percent(figures.decide.success), f"> {SUCCESS:.1%}",
            figures.decide.success.value > SUCCESS,
        ),
        Row(
            part, "outcome success", percent(figures.outcome.success), f"> {SUCCESS:.1%}",
            figures.outcome.success.value > SUCCESS,
        ),
        Row(part, "fallback, of the answers", percent(figures.fallback)),
        Row(part, "server CPU ms: a decision with its outcomes, a call",
            f"{1e3 * cpu / len(record.decides):.2f}, {1e3 * cpu / calls:.2f}"),
        Row(part, "server memory MB, at its peak", f"{server.memory():,.0f}"),
        Row(part, "generator: CPU ms a call; late ms P50, P99",
            f"{figures.generator_cpu_ms:.2f}; {late[0.5]:.1f}, {late[0.99]:.1f}"),
    ]  # fmt: skip


def steady(bench: Bench, server: ServerProcess, phase: Phase, turn: int) -> tuple[Record, float]:
    """Play one rate; the record, and the CPU s that the server used meanwhile."""
    before = server.cpu()
    record = play(server.url, bench.plan([phase], turn))
    return record, server.cpu() - before


def load(
    bench: Bench, rates: Sequence[float], seconds: float, probe: float, overload: float
) -> tuple[list[Row], list[Record]]:
    """One server under rising rates: each for `seconds`, then rates for `probe` s each until the
    policy cannot follow, then `overload` s of twice that. Its log is that of MAIN."""
    rows, records = [], list[Record]()
    with bench.server(MAIN) as server:
        rows.append(Row("start", "s until ready; s of CPU until then",
                        f"{server.cold_start:.1f}; {server.cpu():.1f}"))  # fmt: skip
        rows.append(Row("start", "server memory MB", f"{server.memory():,.0f}"))
        for turn, rps in enumerate(rates):
            record, cpu = steady(bench, server, Phase(rps, seconds), turn)
            rows += steady_rows(f"{rps:,.0f} a second", record, server, cpu)
            records.append(record)
        phases = probe_phases(max(rates), probe)
        records.append(play(server.url, bench.plan(phases, 100)))
        able = capacity(records[-1], phases)
        rows.append(Row("overload", "capacity, decisions a second by the policy", f"{able:,.0f}"))
        calm = Phase(able / 2, probe)
        phases = [calm, Phase(2 * able, overload), Phase(able / 2, max(probe, 5.0))]
        records.append(play(server.url, bench.plan(phases, 101)))
        rows += overload_rows(records[-1], phases)
        rows.append(Row("overload", "server memory MB, at its peak", f"{server.memory():,.0f}"))
    return rows, records


def plain(bench: Bench, rps: float, seconds: float) -> list[Row]:
    """The handler that decides one request at a time, at the same rate."""
    module = "experiments.traffic.benchmark.plain"
    arguments = [module, str(bench.registry), str(bench.events("plain"))]
    with ServerProcess(arguments, bench.folder / "plain.errors") as server:
        record, cpu = steady(bench, server, Phase(rps, seconds), 0)
        rows = steady_rows(f"plain handler, {rps:,.0f} a second", record, server, cpu)
    return [row._replace(target="", met=None) for row in rows if not row.figure.startswith("gen")]


def probe_phases(least: float, seconds: float) -> list[Phase]:
    """Rates from FIRST up to four times a rate that is to be reached."""
    steps = int(np.ceil(np.log(4 * least / FIRST) / np.log(STEP))) + 1
    return [Phase(FIRST * STEP**i, seconds) for i in range(max(1, steps))]


def capacity(record: Record, phases: Sequence[Phase]) -> float:
    """The rate of the last phase before the first in which the policy answered less than ENOUGH of
    what was due itself; the first phase's share of its rate where that fails at once."""
    due, mine = np.array(record.decides.due), record.by_policy
    began, able = 0.0, 0.0
    for phase in phases:
        within = (due >= began) & (due < began + phase.seconds)
        answered = float(mine[within].mean()) if within.any() else 0.0
        if answered < ENOUGH:
            return able or phase.rps * answered
        able, began = phase.rps, began + phase.seconds
    return able


def overload_rows(record: Record, phases: Sequence[Phase]) -> list[Row]:
    """What became of requests that were due in the second of three phases, and when the server had
    recovered from it."""
    calm, flood, _ = phases
    until = calm.seconds + flood.seconds
    due = np.array(record.decides.due)
    within = (due >= calm.seconds) & (due < until)
    figures = route(record.decides, within)
    p50, _, p99 = figures.latency_ms.values()
    mine, answered = record.by_policy[within], record.decides.good[within]
    n = len(mine)
    refused = figures.statuses.get("429", 0)
    others = n - int(answered.sum()) - refused
    after = recovery(record, until)
    part = "overload"
    return [
        Row(part, "due a second", f"{flood.rps:,.0f}"),
        Row(part, "answered: P50 ms", ms(p50)),
        Row(part, "answered: P99 ms", ms(p99), f"< {OVERLOAD_P99:g}", p99.value < OVERLOAD_P99),
        Row(part, "by the policy", percent(share(int(mine.sum()), n))),
        Row(part, "by the fallback", percent(share(int(answered.sum() - mine.sum()), n))),
        Row(part, "refused with 429", percent(share(refused, n))),
        Row(part, "anything else", f"{others:,}", "0", others == 0),
        Row(part, "s until it had recovered", "not" if after is None else f"{after:.1f}", "",
            None),
    ]  # fmt: skip


def recovery(record: Record, ended: float) -> float | None:
    """s after `ended` from which on, for CALM bins of BIN s, the policy answered whatever was due;
    None where that does not happen."""
    due, mine = np.array(record.decides.due), record.by_policy
    bins = int((record.seconds - ended) / BIN)
    number = np.floor((due - ended) / BIN).astype(int)
    bad = np.zeros(bins, bool)
    troubled = number[~mine & (number >= 0) & (number < bins)]
    bad[troubled] = True
    for first in range(bins - CALM + 1):
        if not bad[first : first + CALM].any():
            return first * BIN
    return None
