"""A challenger learns, is judged on what neither has seen, and never serves by itself."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import serving.relearning.relearn as module
from offpolicy import LogError, Outcome
from offpolicy.gate.guardrails import GuardrailSpec
from policies import load, score_log
from serving import Registry
from serving.registry.pointer import Pointer
from serving.relearning.cut import cut_of
from serving.relearning.lineage import ancestry, lineage_of, seen_by
from serving.relearning.recipe import Recipe
from serving.relearning.relearn import Challenge, Terms, relearn
from tests.serving.relearning.factories import TERMS, named, registry_of, served

RECIPE = Recipe(name="one_step", settings={"temperature": 0.5})


def challenged(registry: Registry, log: Any, **given: Any) -> Challenge:
    settings = {"cut": cut_of(log, "monday"), "terms": TERMS} | given
    return relearn(registry, log, settings.pop("recipe", RECIPE), **settings)


def pointer_of(registry: Registry) -> tuple[Pointer, int]:
    return registry.pointer(), len(registry.history())


def test_a_better_challenger_is_ready_and_nothing_is_promoted(tmp_path: Path) -> None:
    policy, log = served()
    registry = registry_of(tmp_path, policy)
    before, live = pointer_of(registry), registry.find("live").version
    found = challenged(registry, log, trigger="a person asked")
    assert found.verdict.outcome is Outcome.PASS, found.verdict
    assert found.ready
    assert f"release canary {found.version}" in found.next
    assert pointer_of(registry) == before
    added = registry.find(str(found.version))
    lineage = lineage_of(added)
    assert lineage == found.lineage
    assert (lineage.parent, lineage.cut.hash) == (live, log.hash())
    assert lineage.code.startswith("longplay")
    assert added.evidence.log is not None
    assert added.evidence.log.hash == log.hash()
    assert "pass" in (added.evidence.verdicts or {}).values()
    assert [name for name, _ in ancestry(registry, added.version)] == [added.version, live]
    taught = seen_by(added)
    assert len(taught) == lineage.taught
    assert lineage.taught + lineage.judged == len(np.unique(log.user))
    assert not any((registry.folder / "relearning").iterdir())


def test_the_same_cut_settings_and_seed_give_the_same_version(tmp_path: Path) -> None:
    policy, log = served()
    one, two = (registry_of(tmp_path / name, policy) for name in "ab")
    first, second = challenged(one, log), challenged(two, log)
    assert first.version == second.version
    a, b = (r.find(str(first.version)).contents.sha256 for r in (one, two))
    assert a == b
    other = challenged(two, log, recipe=Recipe(name="one_step", settings={"temperature": 0.7}))
    assert other.version != first.version


def test_a_run_that_was_killed_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy, log = served()
    registry = registry_of(tmp_path / "killed", policy)
    whole = challenged(registry_of(tmp_path / "whole", policy), log)

    def killed(*given: Any, **more: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "reached_step", killed)
        with pytest.raises(KeyboardInterrupt):
            challenged(registry, log)
    assert len(registry.versions()) == 1
    with monkeypatch.context() as patched:  # it learns nothing again
        patched.setattr(module, "learnt", killed)
        assert challenged(registry, log).version == whole.version
    assert len(registry.versions()) == 2


def test_the_champion_judges_nobody_on_what_taught_it(tmp_path: Path) -> None:
    policy, log = served()
    registry = registry_of(tmp_path, policy)
    first = challenged(registry, log)
    registry.promote(str(first.version), by="ann")
    other = Terms(rule=TERMS.rule, split_seed=1)
    mine = named(log, str(first.version))
    with pytest.raises(LogError, match=r"users that judge .* taught version"):
        challenged(registry, mine, cut=cut_of(mine), terms=other)
    again = challenged(registry, mine, cut=cut_of(mine))  # by the split of all generations
    if again.version is not None:
        assert len(ancestry(registry, again.version)) == 3


def test_only_sessions_that_the_champion_served_judge(tmp_path: Path) -> None:
    policy, log = served()
    registry = registry_of(tmp_path, policy)
    live = registry.find("live").version
    who = np.where(log.user % 3 == 0, "older", live)
    mixed = named(log, who)
    found = challenged(registry, mixed, cut=cut_of(mixed))
    alone = challenged(registry, log)
    assert found.lineage.taught == alone.lineage.taught  # all teach
    assert found.report is not None
    assert alone.report is not None
    units = [r.candidates[0].report.diagnostics.units for r in (found.report, alone.report)]
    assert 0.5 < units[0] / units[1] < 1.0
    strange = named(log, "stranger")
    for name in ("propensity", "position_propensity"):
        object.__setattr__(strange, name, getattr(strange, name) * 0.5)
    with pytest.raises(LogError, match="served none"):
        challenged(registry, strange, cut=cut_of(strange))


def test_a_worse_challenger_is_not_added_unless_asked(tmp_path: Path) -> None:
    policy, log = served()
    registry = registry_of(tmp_path, policy)
    worse = {"recipe": Recipe(name="uniform", step=False)}
    found = challenged(registry, log, **worse)
    assert found.verdict.outcome is Outcome.FAIL, found.verdict
    assert found.version is None
    assert len(registry.versions()) == 1
    kept = challenged(registry, log, keep_failed=True, **worse)
    assert kept.version is not None
    assert not kept.ready


def test_where_the_log_cannot_tell_it_says_what_to_do(tmp_path: Path) -> None:
    policy, log = served()
    registry = registry_of(tmp_path, policy)

    def rails(judge: Any) -> list[GuardrailSpec]:
        noise = np.random.default_rng(0).normal(size=len(judge))
        return [GuardrailSpec(name="noise", values=noise, at_least=0.0)]

    found = challenged(registry, log, guardrails=rails)
    assert found.verdict.outcome is Outcome.UNDECIDED, found.verdict
    assert "longplay plan LOG" in found.next
    assert found.version is not None
    judged = load(registry.find(found.version).folder / "policy")
    assert (score_log(judged, log).propensity > 0).all()
    shutil.rmtree(registry.folder / "relearning")
    far = Terms(rule=TERMS.rule.__class__(min_ess=10_000))
    thin = challenged(registry, log, terms=far)
    assert thin.version is None
    assert "the champion goes on" in thin.next
