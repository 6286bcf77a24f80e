"""Records beside a release: logs, load tests, crashes, plans, drift, alerts, a runbook."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from experiments.logs.item_names import open_named_log
from experiments.serve.ready.line import Finding
from offpolicy import Health, check_log
from offpolicy.doctor.findings import Level
from serving.registry.versions import LogCut

P95, P99, SUCCESS = 30.0, 50.0, 0.999  # ms; the targets of `longplay benchmark serving`
TOPICS = {  # what a runbook must speak of: how a heading says it
    "stale features": r"stale|fresh",
    "drift": r"drift",
    "model rollback": r"roll.?back",
    "constraint breach": r"constraint|violation|rule",
    "log loss": r"log",
    "latency": r"latency|slow",
    "poisoning": r"poison|bots?\b",
    "cold start": r"cold.start|new users",
}


def log(path: Path | None, learned: LogCut | None) -> Finding:
    """The doctor examined the log that the policy was judged on."""
    if path is None:
        return None, "no log was given (--log)"
    found = open_named_log(path, (), None)
    health = check_log(found)
    worse = [
        f"{f.level.name} {f.check}: {f.found}" for f in health.findings if f.level > Level.PASS
    ]
    told = f"longplay check {path}: {len(health.findings)} checks, {health.verdict}"
    if learned is not None and learned.hash == found.hash():
        told += "; the log that the version learned from"
    return health.verdict is not Health.FAIL, "; ".join([told, *worse[:3]])


def load(path: Path | None) -> Finding:
    """A load test met its targets: whole intervals below them."""
    if path is None:
        return None, "no record of a load test was given (--load)"
    said = _json(path, "longplay traffic --url URL --json > FILE")
    try:
        decide = said["decide"]
        p95, p99 = (decide["latency_ms"][level] for level in ("P95", "P99"))
        success, rps, seconds = decide["success"], said["rps"], said["seconds"]
        sides = [
            _met(-success["high"], -success["low"], -SUCCESS),
            *(_met(p["low"], p["high"], most) for p, most in ((p95, P95), (p99, P99))),
        ]
        told = (
            f"{path}: {rps:,.0f} a second for {seconds:g} s: P95 {_figure(p95)} ms (at most "
            f"{P95:g}), P99 {_figure(p99)} ms (at most {P99:g}), success "
            f"{success['value']:.3%} [{success['low']:.3%}, {success['high']:.3%}] (at least "
            f"{SUCCESS:.1%})"
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no record of longplay traffic --json ({error!r})") from error
    if False in sides:
        return False, told
    return (None, f"{told}; too short to tell") if None in sides else (True, told)


def _met(low: float, high: float, most: float) -> bool | None:
    """Whether an interval lies below a target; None where it holds it."""
    return True if high <= most else False if low > most else None


def _figure(f: Any) -> str:
    return f"{f['value']:.1f} [{f['low']:.1f}, {f['high']:.1f}]"


def crash(path: Path | None) -> Finding:
    """The server was killed under load, and nothing acknowledged was lost."""
    if path is None:
        return None, "no record of kills was given (--crash)"
    kept = [line for line in path.read_text(encoding="utf-8").splitlines() if _of_crash(line)]
    judged = [line for line in kept if re.search(r"\s(ok|MISSED)\s*$", line)]
    if not judged:
        raise ValueError(
            f"{path} holds no kills: longplay benchmark serving --parts kill > {path} writes them"
        )
    missed = [" ".join(line.split()) for line in judged if line.rstrip().endswith("MISSED")]
    kills = next((re.findall(r"\d+", line)[-1] for line in kept if ": kills" in line), "some")
    return not missed, "; ".join(
        [
            f"{path}: kill -9 {kills} times, {len(judged) - len(missed)} of {len(judged)} hold",
            *missed,
        ]
    )


def _of_crash(line: str) -> bool:
    return line.startswith(("kill -9", "the log of load and kills", "the log of kills"))


def trial(path: Path | None) -> Finding:
    """Users and days until the canary's effect is seen were planned."""
    if path is None:
        return None, "no plan was given (--trial)"
    said = _json(path, "longplay trial plan LOG --json FILE")
    try:
        need = said["needed"]
        return True, (
            f"{path}: {need['users']:,.0f} users, {need['days']:.1f} days, to see "
            f"{need['effect']:.3g} of {said['metric']} a {said['per']} with {said['power']:.0%} "
            "power"
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no plan of longplay trial plan --json ({error!r})") from error


def drift(path: Path | None) -> Finding:
    """Value and overlap did not move between a reference and what is served now."""
    if path is None:
        return None, "no drift report was given (--drift)"
    said = _json(path, "longplay drift with its option for JSON")
    verdict = said.get("verdict")
    if not isinstance(verdict, str):
        raise ValueError(f"{path} is no drift report: it has no verdict")
    acts = ", ".join(map(str, said.get("acts", ()))) or "nothing"
    holds = {"alarm": False, "cannot tell": None}.get(verdict, True)
    return holds, f"{path}: {verdict}; to do: {acts}"


def alerts(paths: tuple[Path, ...]) -> Finding:
    """Alert rules are there, and promtool takes them."""
    if not paths:
        return None, "no alert rules were given (--alerts)"
    n = sum(len(re.findall(r"^\s*-\s*alert:", p.read_text("utf-8"), re.MULTILINE)) for p in paths)
    if not n:
        return False, f"{', '.join(map(str, paths))}: no rule is an alert"
    tool = shutil.which("promtool")
    if tool is None:
        return None, f"{n} alerts; promtool, which checks them, is not installed"
    command = [tool, "check", "rules", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    told = "takes them" if done.returncode == 0 else f"says: {_last(done.stdout + done.stderr)}"
    return done.returncode == 0, f"{n} alerts; promtool check rules {told}"


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "nothing"


def runbook(path: Path | None) -> Finding:
    """Who is on call finds what to do, for every kind of fault."""
    if path is None:
        return None, "no runbook was given (--runbook)"
    text = path.read_text(encoding="utf-8")
    heads = "\n".join(line for line in text.splitlines() if line.startswith("#"))
    missing = [topic for topic, words in TOPICS.items() if not re.search(words, heads, re.I)]
    told = f"{path}: {len(TOPICS) - len(missing)} of {len(TOPICS)} kinds of faults have a heading"
    return not missing, f"{told}; missing: {', '.join(missing)}" if missing else told


def _json(path: Path, made_by: str) -> dict[str, Any]:
    try:
        said = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is no JSON ({error}): write it with {made_by}") from None
    if not isinstance(said, dict):
        raise ValueError(f"{path} is no JSON object: write it with {made_by}")
    return said
