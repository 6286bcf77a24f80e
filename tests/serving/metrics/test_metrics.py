"""What a server's metrics say: by hand, on a real engine, and about planted faults."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from policies import Cap, Exploration, ScorePolicy, constrained
from policies.baselines.uniform import uniform
from serving import Decision, MemoryLog, Outcome, OutcomeEvent, Request
from serving.hashes import rules_hash
from serving.metrics import decision_sums
from serving.metrics.awaited import Awaited
from serving.metrics.decision_sums import reason_class, sums_of_decisions
from serving.metrics.estimates import Estimate, share
from serving.metrics.kinds import Sli
from serving.metrics.metrics import Metrics
from serving.metrics.signals import SIGNALS
from serving.metrics.slis import verdict
from serving.metrics.state import State
from serving.metrics.sums import Sums
from serving.metrics.table.series import DURATION
from serving.metrics.violations import violations
from serving.metrics.window import Window
from tests.factories import make_serving
from tests.serving.factories import events_of, make_engine

DECISION = Decision(
    decision_id="d", time=1000.0, user="u", session="s", began="d", step=0,
    slate=(0, 1), items=("a", "b"), propensity=0.25, position_propensity=(0.5, 0.5),
    candidates=(0, 1, 2, -1), candidate_propensity=(0.5, 0.25, 0.25, 0.0), context=(),
    policy="v1", rules="none", history_version=0, history_hash="h", history_age=None,
    prior_items=(), prior_responses=(), unknown_items=0, fallback=None,
    worked_ms=10.0, waited_ms=5.0,
)  # fmt: skip


class Clock:
    """A clock that stands where it is put."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def decisions(**fields: list[Any]) -> list[Decision]:
    """One decision for each value of the fields, with ids of their own."""
    rows = [dict(zip(fields, row, strict=True)) for row in zip(*fields.values(), strict=True)]
    return [replace(DECISION, **({"decision_id": f"d{i}"} | row)) for i, row in enumerate(rows)]


def series(text: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample of Prometheus' text, read by its own parser."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


@pytest.fixture
def every_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of probabilities are all read."""
    monkeypatch.setattr(decision_sums, "EVERY", 1)


@pytest.mark.usefixtures("every_table")
def test_every_number_by_hand() -> None:
    """Four answers, 15, 25, 35 and 65 ms from receipt; the last is the fallback's and unlogged."""
    clock = Clock(1000.0)
    cpu = Clock(3.0)
    metrics = Metrics(clock=clock, cpu=cpu)
    metrics.under(())
    cpu.now = 3.008
    metrics.decided(
        decisions(
            worked_ms=[10.0, 20.0, 30.0, 60.0],
            slate=[(0, 1), (1, 0), (2, 1), (0, 2)],
            position_propensity=[(0.5, 0.5), (0.25, 0.5), (0.25, 0.5), (0.5, 0.5)],
            propensity=[0.25, 0.125, 0.125, 0.25],
            history_age=[None, 30.0, 50.0, 70.0],
            fallback=[None, None, None, "event log: disk full"],
            unknown_items=[0, 2, 0, 0],
            history_version=[0, 3, 3, 3],
            rules=[rules_hash(())] * 4,
        )
    )
    metrics.rejected(400)
    metrics.rejected(503)
    clock.now = 1004.0
    slis = {name: sli["value"] for name, sli in metrics.slis().items()}
    entropy = 0.5 * math.log(2) + 0.5 * math.log(4)
    tops = math.sqrt(0.5) + 2 * math.sqrt(0.25)  # of the tempered policy
    weights = [1 / math.sqrt(p) / tops for p in (0.5, 0.25, 0.25)]
    shown = [3 / 8, 3 / 8, 2 / 8]
    assert slis == pytest.approx(
        {
            "requests": 6 / 4, "success": 4 / 5, "fallback": 1 / 4, "within_50ms": 3 / 4,
            "latency_p50": 25.0, "latency_p95": 75 - 0.2 * 15, "latency_p99": 75 - 0.04 * 15,
            "wait_p95": 5.0 - 0.05, "work_p95": 60 - 0.2 * 10,
            "history_age_p50": 10 + 50 * 1.5 / 2, "history_age_p95": 60 + 240 * 0.85,
            "logged": 3 / 4, "outcomes_known": None,
            "items_shown": 3, "items_effective": math.exp(-sum(p * math.log(p) for p in shown)),
            "violations": 0, "propensity": 0.5 / 3, "entropy": entropy,
            "mean_weight": sum(weights) / 3,
            "effective_sample": sum(weights) ** 2 / (3 * sum(w * w for w in weights)),
            "new_users": 1 / 4, "cpu_ms": 2.0,
        }
    )  # fmt: skip
    clock.now = 1004.5  # fewer than one decision a second
    assert metrics.slis()["cpu_ms"]["value"] is None
    found = series(metrics.text())
    over_http = {"http_request_method": "POST", "http_route": "/decide",
                 "http_response_status_code": "200", "url_scheme": "http"}  # fmt: skip
    served = {"arm": "live", "version": "v1"}
    over_http |= served
    seconds = "http_server_request_duration_seconds"
    assert found[f"{seconds}_count", frozenset(over_http.items())] == 4
    assert found[f"{seconds}_sum", frozenset(over_http.items())] == pytest.approx(0.140)
    assert found[f"{seconds}_bucket", frozenset((over_http | {"le": "0.03"}).items())] == 2
    for name, labels, value in (
        ("requests_total", served | {"result": "policy"}, 3),
        ("requests_total", served | {"result": "fallback"}, 1),
        ("requests_total", {"arm": "", "version": "", "result": "refused"}, 1),
        ("requests_total", {"arm": "", "version": "", "result": "failed"}, 1),
        ("fallbacks_total", served | {"reason": "event_log"}, 1),
        ("refusals_total", {"error_type": "503"}, 1),
        ("decisions_total", served | {"logged": "false"}, 1),
        ("violations_total", served | {"check": "rule"}, 0),
        ("fallbacks_total", served | {"reason": "deadline"}, 0),
        ("awaited_total", {"outcome": "known"}, 0),
        ("history_age_seconds_count", served, 3),
        ("items_shown_distinct", served, 3),
        ("propensity_sum", served, 0.5),
        ("first_place_entropy_nats_count", served, 3),
        ("unknown_items_total", {}, 2),
        ("histories_total", served | {"history": "new"}, 1),
        ("indicator_missed", {"indicator": "violations", "metric": "", "subject": ""} | served, 0),
        (
            "indicator_high",
            {"indicator": "within_50ms", "metric": "", "subject": ""} | served,
            share(3, 4).high,
        ),
    ):
        assert found[f"longplay_{name}", frozenset(labels.items())] == pytest.approx(value), name


def test_every_signal_has_a_series_and_one_name() -> None:
    metrics = Metrics(clock=lambda: 1000.0)
    metrics.state = lambda: State(policy="v7", sha256="ab", writer="main", number=9, queue=2,
                                  swaps=1, load_failures=3)  # fmt: skip
    metrics.decided([DECISION])
    metrics.rejected(429)
    text = metrics.text()
    names = {family.name for family in text_string_to_metric_families(text.decode())}
    for signal in SIGNALS:
        assert {signal.name, f"{signal.name}_{signal.unit}"} & names, signal.name
    found = series(text)
    info = {"version": "v7", "sha256": "ab", "rules": ""}
    assert found["longplay_policy_info", frozenset(info.items())] == 1
    assert found["longplay_events_number", frozenset({("writer", "main")})] == 9
    assert found["longplay_swaps_total", frozenset()] == 1
    assert any(name.startswith("process_") for name in names)
    slis = [sli.name for signal in SIGNALS for sli in signal.slis]
    assert len(set(slis)) == len(slis)
    assert len({signal.name for signal in SIGNALS}) == len(SIGNALS)


def test_arms_and_versions_are_told_apart() -> None:
    """A canary's fallbacks are the canary's, by the hash of the release that they stand for."""
    clock = Clock(1000.0)
    metrics = Metrics(clock=clock)
    metrics.state = lambda: State(policy="v1", sha256="aa")
    of_canary = {"arm": "canary", "policy": "v2", "policy_sha256": "bb"}
    of_control = {"arm": "control", "policy": "v1", "policy_sha256": "aa"}
    fallback = {"policy": "fallback", "fallback": "deadline"}
    metrics.decided([replace(DECISION, **of_control | fallback)])  # known from the state alone
    metrics.decided([replace(DECISION, **of_control)] * 6)
    metrics.decided([replace(DECISION, **of_canary)] * 2)
    metrics.decided([replace(DECISION, **of_canary | fallback)] * 2, logged=1)
    slis = metrics.arms()
    assert slis.keys() == {("control", "v1"), ("canary", "v2")}
    assert slis["control", "v1"]["fallback"]["value"] == 1 / 7
    assert slis["canary", "v2"]["fallback"]["value"] == 2 / 4
    assert slis["canary", "v2"]["logged"]["value"] == 3 / 4
    assert "cpu_ms" not in slis["canary", "v2"]  # of the whole server alone
    assert metrics.slis()["fallback"]["value"] == 3 / 11
    assert metrics.by_label("longplay_fallbacks")["canary", "v2"] == {"deadline": 2}
    found = series(metrics.text())
    canary = frozenset({"arm": "canary", "version": "v2", "result": "fallback"}.items())
    assert found["longplay_requests_total", canary] == 2


def test_versions_of_long_ago_are_let_go_and_the_total_stays() -> None:
    clock = Clock(1000.0)
    metrics = Metrics(clock=clock)
    for i in range(40):
        metrics.decided([replace(DECISION, policy=f"v{i}", policy_sha256=f"{i}")])
    total, _, _ = metrics.sums()
    assert total.count("longplay_decisions") == 40
    assert [version for _, version in metrics.arms()] == [f"v{i}" for i in range(25, 40)]


def test_sums_of_parts_add_up_to_those_of_the_whole() -> None:
    rng = np.random.default_rng(3)
    every = decisions(
        worked_ms=rng.exponential(20, 50).tolist(),
        slate=[tuple(rng.permutation(3)[:2].tolist()) for _ in range(50)],
        history_age=rng.exponential(500, 50).tolist(),
    )
    whole = sums_of_decisions(every)
    parts = sums_of_decisions(every[:1]) + (
        sums_of_decisions(every[1:20]) + sums_of_decisions(every[20:])
    )
    assert parts.counts == whole.counts
    assert parts.shown.tolist() == whole.shown.tolist()
    for some, all_ in ((parts.histograms, whole.histograms), (parts.moments, whole.moments)):
        assert some.keys() == all_.keys()
        for name, value in all_.items():
            np.testing.assert_allclose(some[name], value, rtol=1e-12)


@pytest.mark.parametrize(
    ("reason", "known"),
    [
        ("deadline", "deadline"),
        ("sessions: [Errno 111] Connection refused", "sessions"),
        ("event log: no space left", "event_log"),
        ("AssertionError: rule 'cap' is broken by slate [1, 2] of row 0", "rule"),
        ("ValueError: scores of user anna are not finite", "policy"),
        ("something new about anna", "other"),
        ("", "other"),
    ],
)
def test_a_reason_is_one_of_a_few(reason: str, known: str) -> None:
    assert reason_class(reason) == known


def test_labels_stay_few_whatever_is_sent() -> None:
    metrics = Metrics(clock=lambda: 1000.0)
    metrics.rejected("contract")
    for i in range(100):
        metrics.rejected(f"why {i}")
        metrics.decided([replace(DECISION, fallback=f"E{i}: text {i}")])
        metrics.outcomes([OutcomeEvent(
            outcome_id=f"o{i}", decision_id="d", user="u", kind=f"kind {i}", item=None, value=1.0,
            responses=(), client_time=None, time=1000.0,
        )])  # fmt: skip
    total, _, _ = metrics.sums()
    assert len([1 for name, _ in total.counts if name == "longplay_refusals"]) == 33
    assert total.count("longplay_refusals", "other") == 69
    assert total.count("longplay_requests", "refused") == 1
    assert total.count("longplay_requests", "failed") == 100
    assert total.count("longplay_fallbacks", "policy") == 100
    assert total.count("longplay_outcomes", "other") == 100


def test_the_window_slides_and_the_total_stays() -> None:
    clock = Clock(1000.0)
    metrics = Metrics(window=Window(width=10, stretches=3), clock=clock)
    for clock.now in (1000.0, 1009.9, 1010.0, 1029.9):
        metrics.decided([DECISION])
    for now, n in ((1029.9, 4), (1030.0, 2), (1059.9, 0)):
        clock.now = now
        total, window, seconds = metrics.sums()
        assert window.count("longplay_requests") == n
        assert total.count("longplay_requests") == 4
        assert seconds == pytest.approx(29.9 if now < 1030 else 20.0 + now % 10)


def test_an_answer_that_is_given_again_counts_when_it_is_given() -> None:
    """A decision of long ago neither empties the window nor waits for an outcome once more."""
    clock = Clock(1000.0)
    metrics = Metrics(window=Window(width=10, stretches=3), within=60.0, clock=clock)
    for clock.now in range(1000, 1200, 10):
        metrics.decided([replace(DECISION, decision_id=f"d{clock.now}", time=clock.now)])
        metrics.sums()
    metrics.decided([DECISION])
    _, window, _ = metrics.sums()
    assert window.count("longplay_requests") == 4
    clock.now = 2000.0
    assert metrics.sums()[0].count("longplay_awaited") == 20


def test_a_clock_that_jumps_does_not_fill_the_window() -> None:
    window, one = Window(width=1, stretches=5), Sums({("x", ""): 1.0})
    for at in [*range(1000, 1100), *range(900, 1000)]:
        window.add(float(at), one)
    assert len(window._sums) <= 10
    assert window.total(999.0).count("x") == 5


def test_a_decision_is_known_if_an_outcome_came_in_time() -> None:
    awaited = Awaited(within=60.0, most=3)
    awaited.decided(decisions(time=[0.0, 1.0, 2.0, 3.0]))  # the last finds no room
    awaited.came(["d0", "d0", "d2", "nobody's"])
    assert awaited.over(59.9).counts == {}
    assert awaited.over(61.0).counts == {("longplay_awaited", "known"): 1,
                                         ("longplay_awaited", "none"): 1}  # fmt: skip
    assert awaited.over(62.0).counts == {("longplay_awaited", "known"): 1}
    awaited.came(["d2"])  # too late
    assert awaited.over(99.0).counts == {}


def test_slates_that_break_rules_are_counted() -> None:
    """Planted: an item twice, one that was closed, two of a group of which one may be shown."""
    cap = Cap("one of a kind", np.array([0, 0, 1]), most=1)
    faults = decisions(
        slate=[(0, 0), (0, -1), (0, 1), (0, 2), (0, 1)],
        candidates=[None, (-1, 1, 2), (0, 1, 2), (0, 1, 2), None],
        rules=["none", "none", "cap", "cap", "who knows"],
    )
    found = violations(faults, {"none": (), "cap": (cap,)})
    assert found == {"twice": 1, "not_offered": 1, "rule": 1, "unaudited": 1}


@pytest.mark.parametrize(
    ("op", "target", "low", "high", "says"),
    [
        ("<=", 30.0, 10.0, 30.0, "ok"),
        ("<=", 30.0, 10.0, math.inf, "unsure"),
        ("<=", 30.0, 30.1, math.inf, "missed"),
        (">=", 0.9, 0.9, 1.0, "ok"),
        (">=", 0.9, 0.8, 1.0, "unsure"),
        (">=", 0.9, 0.8, 0.89, "missed"),
        ("=", 1.0, 0.9, 1.1, "ok"),
        ("=", 1.0, 1.01, 1.1, "missed"),
        ("=", 1.0, -math.inf, math.inf, "unsure"),
    ],
)
def test_a_verdict_needs_the_whole_interval(
    op: Any, target: float, low: float, high: float, says: str
) -> None:
    sli = Sli("x", "X", "", "", lambda sums, seconds: None, op, target)
    assert verdict(sli, Estimate(0.0, 5, low, high)) == says
    assert verdict(sli, None) is None


def test_a_sample_of_tables_is_a_share_of_them() -> None:
    """1,600 ids, one in eight: 200 ± 4 standard deviations of 13."""
    every = decisions(decision_id=[f"request {i}" for i in range(1600)])
    n, entropy, _ = sums_of_decisions(every).moments["longplay_first_place_entropy"]
    assert abs(n - 200) < 53
    assert entropy / n == pytest.approx(1.5 * math.log(2))


@pytest.mark.usefixtures("every_table")
def test_a_real_engine_under_rules_is_what_its_log_says() -> None:
    """Sums over what `decide_many` gave equal those over the log; no rule is broken, the mean
    weight is 1, and a policy that logs wrong propensities is seen."""
    serving = make_serving(30, slate_size=3, n_candidates=8, user_size=0)
    rule = Cap("two of a kind", np.arange(30) % 4, most=2)
    scores = np.linspace(0, 2, 30)
    policy = constrained(ScorePolicy(_Fixed(serving, scores), Exploration(temperature=1.0)), rule)
    engine = make_engine(policy, MemoryLog())
    requests = [
        Request(request_id=f"r{i}", user=f"u{i}", session="s",
                candidates=tuple(f"item-{(i + 3 * j) % 30}" for j in range(8)), context=())
        for i in range(1500)
    ]  # fmt: skip
    answered = engine.decide_many(requests)
    logged, _ = events_of(engine.events)
    metrics = Metrics(clock=lambda: answered[-1].time, cpu=lambda: 0.0)
    metrics.under((rule,))
    metrics.decided(answered)
    engine.outcome(Outcome(outcome_id="o", decision_id="r0", user="u0", kind="liked"))
    of_log = sums_of_decisions(logged, rules={rules_hash((rule,)): (rule,)})
    total, _, _ = metrics.sums()
    assert {k: n for k, n in total.counts.items() if n} == {
        k: n for k, n in of_log.counts.items() if n
    }
    slis = metrics.slis()
    assert slis["violations"]["verdict"] == "ok"
    assert slis["violations"]["n"] == 1500
    assert total.count("longplay_unaudited") == 0
    assert slis["mean_weight"]["verdict"] == "ok"
    assert slis["mean_weight"]["low"] > 0.9
    wrong = Metrics(clock=lambda: answered[-1].time)
    wrong.decided([
        replace(one, position_propensity=(one.position_propensity[0] * 0.8,
                                          *one.position_propensity[1:]))
        for one in answered
    ])  # fmt: skip
    assert wrong.slis()["mean_weight"]["verdict"] == "missed"


def test_outcomes_count_for_their_decisions() -> None:
    clock = Clock(1000.0)
    metrics = Metrics(within=60.0, clock=clock)
    metrics.decided(decisions(time=[1000.0, 1001.0]))
    sent = Outcome(outcome_id="o", decision_id="d1", user="u", kind="taken", item="a")
    metrics.outcomes([sent, sent])
    assert metrics.slis()["outcomes_known"]["value"] is None
    clock.now = 1061.0
    known = metrics.slis()["outcomes_known"]
    assert (known["value"], known["n"]) == (0.5, 2)
    assert metrics.sums()[0].count("longplay_outcomes", "taken") == 2


def test_what_the_log_lost_is_counted_as_the_server_says() -> None:
    metrics = Metrics(clock=lambda: 1000.0)
    metrics.decided([replace(DECISION, fallback="deadline")] * 3, logged=1)
    total, _, _ = metrics.sums()
    assert total.count("longplay_decisions", "true") == 1
    assert total.count("longplay_decisions", "false") == 2


def test_indicators_are_json() -> None:
    metrics = Metrics(clock=lambda: 1000.0)
    metrics.decided([DECISION])
    text = json.dumps(metrics.slis(), allow_nan=False)
    assert json.loads(text)["latency_p99"]["high"] is None  # one decision sets no bound
    assert DURATION in {signal.name for signal in SIGNALS}


class _Fixed:
    """Scores of items that are the same for everybody."""

    def __init__(self, serving: Any, scores: np.ndarray) -> None:
        self.serving, self._scores = serving, scores

    def scores(self, obs: Any) -> np.ndarray:
        return self._scores[obs.candidates]


def test_uniform_slates_are_as_diverse_as_the_catalogue() -> None:
    engine = make_engine(uniform(make_serving(12, slate_size=3, user_size=0)))
    answered = engine.decide_many([
        Request(request_id=f"r{i}", user="u", session="s", context=()) for i in range(600)
    ])  # fmt: skip
    metrics = Metrics(clock=lambda: answered[-1].time)
    metrics.decided(answered)
    slis = metrics.slis()
    assert slis["items_shown"]["value"] == 12
    assert 11.5 < slis["items_effective"]["low"] <= 12
