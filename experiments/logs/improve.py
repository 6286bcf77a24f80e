"""`longplay improve LOG --serving POLICY --target POLICY`: the furthest step a log vouches for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tyro

from experiments.common.building import build_with, load_saved
from experiments.common.key_values import pairs, typed
from experiments.data.mapping import column_names
from experiments.logs.gate import STATUS, guardrail_of
from experiments.logs.improve_report import CANDIDATE, gate_json, markdown_report
from experiments.logs.item_names import NAMES, item_names, items_beside, open_named_log
from experiments.logs.seen import I64, SEEN, sessions_seen, warning_of
from offpolicy import GateRule, LoggedDataset, Outcome
from offpolicy.diagnostics import JUDGED
from offpolicy.log.splitting import split_sessions
from offpolicy.storage.atomic import atomic_folder
from policies import POLICIES, Learner, Policy, Serving, constrained, save, score_log
from policies.improve.path import Kind
from policies.improve.step import ALIKE, Step, furthest_step
from policies.observation import serving_of_log
from policies.rules.constrained import Constrained

FILES = (CANDIDATE, "gate.json", NAMES, "policy", "report.md", SEEN)  # that this command writes


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Step from the policy that serves towards a better one, as far as sessions that neither
    learner nor choice has seen vouch for; exit status 0 = a step, 1 = it is worse, 3 = cannot
    tell."""

    log: tyro.conf.Positional[Path]
    """A log (folder or file), or any table (.parquet, .csv, .jsonl) with --columns. Of several
    loggers all teach, and sessions that the --serving policy served choose and judge."""
    serving: str
    """What serves now: the folder of a saved policy, or the name of a policy that is learnt from
    the learner's sessions, if what serves is none of ours. Weights use the logged propensities."""
    target: str
    """What to step towards: the folder of a saved policy, or a policy's name, learnt likewise."""
    set: tuple[str, ...] = ()
    """Settings of a target that is learnt here: temperature=2 ... (temperature is 1 by default)."""
    serving_set: tuple[str, ...] = ()
    """Settings of a serving policy that is learnt here."""
    horizon: Literal["one_step", "per_decision", "trajectory"] = "per_decision"
    """The estimand: one_step, per_decision or trajectory."""
    kind: Kind = "geometric"
    """The path between both: geometric (log-probabilities) or mixture (slates of either)."""
    shares: tuple[float, ...] | None = None
    """How far on the way: the shares that are compared; by default a grid that is refined where
    the floors end."""
    split: tuple[float, float, float] = (0.3, 0.3, 0.4)
    """Shares of the sessions (of the users, where the log has them) that learn, choose, judge."""
    columns: tuple[str, ...] = ()
    """Foreign column names, ours=theirs."""
    items: str | None = None
    """Items of a foreign log are names: a file of them, one a line in the order of their ids, or
    `log` for those of the log (text is). By default items.txt beside a saved policy."""
    n_items: int | None = None
    """Size of the catalogue of a foreign log."""
    item_features: Path | None = None
    """Features (A, F) of the items by id (.npy), for policies that are learnt here."""
    history_length: int = 20
    """Consumed items that policies learnt here look back on."""
    max_steps: int | None = None
    """Sessions end after so many decisions by design: one truncated there is whole."""
    min_uplift: float = 0.0
    """Uplift to be shown."""
    min_ess: float = JUDGED
    """Effective units below which nothing is compared or judged."""
    guardrail: tuple[str, ...] = ()
    """Changes that must hold: "responses.1>=-0.01" or "position_reward.0<=0.2": column, place,
    bound on its change against the logging policy."""
    level: float = 0.95
    """Of the reported intervals, and of all guardrails together."""
    confidence: float = 0.95
    """Of the stated bound."""
    seed: int = 0
    """Of the split, of learners, and of draws for the reward model."""
    out: Path | None = None
    """Folder to write: policy (what to serve next; without a step, what serves, if that is a saved
    policy), candidate (of which the log cannot tell), gate.json, report.md, items.txt, seen.npy
    (sessions that taught and chose, by which later judges know them)."""


def run(settings: Settings) -> int:
    """Learn, choose, judge, print, write."""
    if settings.out is not None:
        check_replaceable(settings.out)
    items = items_beside([settings.serving, settings.target], settings.items)
    log = open_named_log(
        settings.log, settings.columns, settings.n_items, settings.max_steps, items
    )
    learn, *others = split_sessions(log, settings.split, seed=settings.seed)
    now, target = both_policies(settings, log, learn)
    choose, judge_log = (served_by(now, part) for part in others)
    step = furthest_step(
        choose,
        judge_log,
        now,
        target,
        rule=GateRule(
            min_ess=settings.min_ess,
            min_uplift=settings.min_uplift,
            confidence=settings.confidence,
        ),
        shares=settings.shares,
        kind=settings.kind,
        horizon=settings.horizon,
        guardrails=[guardrail_of(g, judge_log) for g in settings.guardrail],
        level=settings.level,
        learn_log=learn,
        seed=settings.seed,
    )
    both = (settings.serving, settings.target)
    text = markdown_report(step, both, now, (learn, choose, judge_log), settings.confidence)
    if said := warning_of(both, judge_log):
        text = f"{said}.\n\n{text}"
    print(text)
    if settings.out is not None:
        write(settings, step, text, log, sessions_seen(both, (learn, choose)))
    return STATUS[step.verdict.outcome]


def both_policies(
    settings: Settings, log: LoggedDataset, learn: LoggedDataset
) -> tuple[Policy, Policy]:
    """What serves, and the target under the same rules: loaded, or learnt from `learn`."""
    folders = [p for p in (settings.serving, settings.target) if Path(p).is_dir()]
    saved = {folder: load_saved(folder) for folder in folders}
    sizes = saved[folders[0]].serving if folders else sizes_of(settings, log)
    now, target = (
        saved[name] if name in saved else learnt(name, changes, sizes, learn, settings.seed)
        for name, changes in (
            (settings.serving, settings.serving_set), (settings.target, settings.set),
        )
    )  # fmt: skip
    if isinstance(now, Constrained) and not isinstance(target, Constrained):
        target = constrained(target, *now.rules)
    return now, target


def sizes_of(settings: Settings, log: LoggedDataset) -> Serving:
    """Sizes of policies that are learnt here."""
    theirs = column_names(settings.columns).get("responses")
    if isinstance(theirs, str) and log.responses is not None:
        theirs = [theirs] if log.responses.shape[1] == 1 else None
    features = None if settings.item_features is None else np.load(settings.item_features)
    return serving_of_log(
        log, features, history_length=settings.history_length, response_names=theirs
    )


def served_by(now: Policy, log: LoggedDataset) -> LoggedDataset:
    """Of a log of several loggers the rows of those that logged what `now` would have; the whole
    log where it has one logger, or none of them is `now`."""
    if log.logger is None or len(np.unique(log.logger)) < 2:
        return log
    same = np.abs(score_log(now, log, n_slates=0).propensity / log.propensity - 1) <= ALIKE
    _, code = np.unique(log.logger, return_inverse=True)
    own = np.bincount(code, same) > 0.99 * np.bincount(code)
    return log.take(own[code]) if own.any() else log


def learnt(
    name: str, changes: tuple[str, ...], sizes: Serving, log: LoggedDataset, seed: int
) -> Policy:
    """A policy of the registry, after one update with the log.

    Raises:
        ValueError: there is no such folder or name, or it learns by acting only.
    """
    if name not in POLICIES:
        raise ValueError(
            f"{name} is no folder of a saved policy, nor one of {', '.join(sorted(POLICIES))}"
        )
    offered = {"seed": seed, "temperature": 1.0}
    if sizes.response_names and "quality" not in sizes.response_names:
        offered["response"] = sizes.response_names[0]  # type: ignore[assignment]
    given = typed("--set", pairs(changes), POLICIES[name].load())
    policy = build_with(name, sizes, {k: v for k, v in offered.items() if k not in given}, given)
    if isinstance(policy, Learner):
        raise ValueError(
            f"{name} learns by acting in a world, not from a log: train it (longplay train-policy) "
            "and name the folder of the saved policy"
        )
    policy.update(log)
    return policy


def check_replaceable(folder: Path) -> None:
    """Raise FileExistsError for a folder that holds anything else than an earlier run's files."""
    if not folder.exists():
        return
    held = {p.name for p in folder.iterdir()} if folder.is_dir() else {folder.name}
    if held and not ("report.md" in held and held <= set(FILES)):
        raise FileExistsError(
            f"{folder} holds other things than {', '.join(FILES)} and is left as it is: write to "
            "another --out"
        )


def write(settings: Settings, step: Step, text: str, log: LoggedDataset, seen: I64) -> None:
    """All files at once. Without a step the policy to serve next is the one that serves, which is
    written again if it was a saved one, and a policy of which the log cannot tell stands beside it,
    for the better log or the trial of its plan."""
    assert settings.out is not None
    with atomic_folder(settings.out) as fresh:
        if step.taken or Path(settings.serving).is_dir():
            save(step.policy, fresh / "policy")
        if step.candidate is not None and step.verdict.outcome is Outcome.UNDECIDED:
            save(step.candidate, fresh / CANDIDATE)
        (fresh / "gate.json").write_text(gate_json(step), encoding="utf-8")
        (fresh / "report.md").write_text(text, encoding="utf-8")
        (fresh / NAMES).write_text("\n".join(item_names(log)) + "\n", encoding="utf-8")
        np.save(fresh / SEEN, seen, allow_pickle=False)
        held = sorted(p.name for p in fresh.iterdir())
    print(f"written: {settings.out} ({', '.join(held)})")
