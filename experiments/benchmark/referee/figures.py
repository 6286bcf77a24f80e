"""Records to figures: each measured number beside its target, and whether it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from offpolicy.intervals.binomial import exact_bounds

Record = Mapping[str, Any]
HELD, ANY_HELD, WRONG, BLAMED, WARNED, SEEN = 0.93, 0.92, 0.05, 0.01, 0.01, 0.95
WIDE = 1.15  # times the oracle's width, of the estimator that decides marginal verdicts
SHAKY = ("cut-",)  # processes whose logs end inside sessions: the estimand itself is in question


class Target(NamedTuple):
    """A bound on a share or a number."""

    at_least: float | None = None
    at_most: float | None = None

    def __str__(self) -> str:
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return "" if self.at_most is None else f"<= {self.at_most:g}"


class Figure(NamedTuple):
    """One measured number."""

    part: str
    name: str  # of the process, shape, watch or fault
    estimator: str
    what: str
    measured: float | None
    low: float | None = None  # exact binomial bounds at 95 %, of shares
    high: float | None = None
    hits: int | None = None
    of: int | None = None
    target: Target = Target()

    @property
    def holds(self) -> str:
        """yes; no; or `within chance`: missed, but not beyond the binomial error."""
        t, x = self.target, self.measured
        if x is None or t == Target():
            return ""
        if (t.at_least is None or x >= t.at_least) and (t.at_most is None or x <= t.at_most):
            return "yes"
        reached = (
            t.at_least is not None and self.high is not None and self.high >= t.at_least
        ) or (t.at_most is not None and self.low is not None and self.low <= t.at_most)
        return "within chance" if reached else "no"


def share(
    part: str, name: str, estimator: str, what: str, count: tuple[int, int], target: Target
) -> Figure:
    """k of n with exact binomial bounds; no number where n is 0."""
    k, n = int(count[0]), int(count[1])
    if n == 0:
        return Figure(part, name, estimator, what, None, hits=0, of=0, target=target)
    return Figure(part, name, estimator, what, k / n, *exact_bounds(k, n), k, n, target)


def figures(records: Mapping[str, tuple[str, Record]]) -> list[Figure]:
    """Of all records: {job id: (part, record)}."""
    makers: dict[str, Callable[[Record], Iterable[Figure]]] = {
        "process": _of_process,
        "terms": _of_terms,
        "watch": _of_watch,
        "clean": _of_clean,
        "fault": _of_fault,
    }
    return [f for part, record in records.values() for f in makers[part](record)]


def wrong(record: Record) -> int:
    """Logs with a pass at an uplift of 0 or less, or a fail above it; of a target that is the
    logger, every pass and fail."""
    v = record["verdicts"]
    if record["same"]:
        return int(v["pass"] + v["fail"])
    return int(v["fail"] if record["uplift"] > 0 else v["pass"])


def _of_process(r: Record) -> Iterable[Figure]:
    name, verdicts = r["name"], r["verdicts"]
    logs = sum(verdicts.values())
    limit = Target(at_most=0.0 if r["same"] else WRONG)
    yield share("verdicts", name, "", "wrong verdicts", (wrong(r), logs), limit)
    blamed = verdicts.get("cannot tell: propensities", 0)
    bound = Target(at_most=BLAMED)
    yield share("verdicts", name, "", "honest propensities blamed", (blamed, logs), bound)
    refused = (r["refused"]["logs"], r["replicates"])
    yield share("verdicts", name, "", "refused", refused, Target(at_most=0.0))
    level = r["uplift"] == 0 and not r["same"]
    at_zero = Target(at_most=WRONG) if level else Target()
    yield share(
        "verdicts", name, "", "fail at 0", (verdicts["fail"] if level else 0, logs), at_zero
    )
    for outcome in ("pass", "fail"):
        yield share("verdicts", name, "", outcome, (verdicts[outcome], logs), Target())
    for part in ("usual", "others"):
        for estimator, f in r[part].items():
            yield from _of_estimator(part, r, estimator, f)
    for column, f in r["guardrails"].items():
        yield share("guardrails", name, column, "held", f["held"], Target(at_least=HELD))
        if "wrong" in f:
            count = f["wrong"]
            yield share("guardrails", name, column, "wrong", count, Target(at_most=WRONG))


def _of_estimator(part: str, r: Record, estimator: str, f: Record) -> Iterable[Figure]:
    decides = part == "usual" and estimator == r["decider"]
    shaky = r["name"].startswith(SHAKY)
    for what in ("value", "uplift"):
        rules = {
            "all": Target(),
            "judged": Target(at_least=HELD) if decides else Target(),
            "decided": Target(),
            "silent": Target() if shaky else Target(at_least=ANY_HELD),
        }
        for when, target in rules.items():
            count = f[f"{what} {when}"]
            yield share(part, r["name"], estimator, f"{what} held, {when}", count, target)
        narrow = decides and r["horizon"] == "marginal" and not r["same"]
        for kind in ("width", "bias", "rmse"):
            bound = Target(at_most=WIDE) if narrow and kind == "width" else Target()
            number = f[f"{what} {kind}"]
            yield Figure(part, r["name"], estimator, f"{what} {kind}", number, target=bound)


def _of_terms(r: Record) -> Iterable[Figure]:
    for line, f in r["lines"].items():
        yield share(
            "terms", r["name"], line, "value held, ESS >= 500", f["held"], Target(at_least=ANY_HELD)
        )
        yield Figure("terms", r["name"], line, "median ESS", f["ess"])
        for kind in ("width", "bias", "rmse"):
            yield Figure("terms", r["name"], line, f"value {kind}", f[kind])


def _of_watch(r: Record) -> Iterable[Figure]:
    for rule, k in r["wrong"].items():
        naive = rule.endswith("the only one")
        target = Target() if naive else Target(at_most=WRONG)
        yield share("watches", r["name"], rule, "wrong at some look", (k, r["runs"]), target)


def _of_clean(r: Record) -> Iterable[Figure]:
    v, n = r["verdicts"], r["logs"]
    bad = v.get("FAIL", 0) + v.get("refused", 0)
    yield share("clean", r["name"], "", "false FAIL", (bad, n), Target(at_most=0.0))
    yield share("clean", r["name"], "", "false WARN", (v.get("WARN", 0), n), Target(at_most=WARNED))


def _of_fault(r: Record) -> Iterable[Figure]:
    v, n = r["verdicts"], r["logs"]
    seen = n - v.get("PASS", 0)
    yield share("faults", r["name"], "", "seen", (seen, n), Target(at_least=SEEN))
    stopped = v.get("FAIL", 0) + v.get("refused", 0)
    yield share("faults", r["name"], "", "FAIL or refused", (stopped, n), Target())
