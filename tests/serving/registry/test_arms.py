"""The pointer's arms: canary, weight and shadow, changed by those who saw the pointer as it is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serving import Catalogue, Registry
from serving.registry.pointer import Pointer, PointerMovedError, parse_pointer
from tests.serving.factories import names_of
from tests.serving.registry.factories import CATALOGUE, A, make_registry, saved

ROLLOUT = {"rollout": "try b", "salt": "s1"}


def arms(now: Pointer) -> tuple[str | None, str | None, float | None, str | None]:
    return now.live, now.canary, now.weight, now.shadow


def test_a_rollout_from_shadow_to_live_and_back(tmp_path: Path) -> None:
    registry, (a, b) = make_registry(tmp_path)
    registry.promote(a, by="ann")
    assert arms(registry.shadow(b, by="bob", why="before anybody sees it")) == (a, None, None, b)
    now = registry.canary(b[:6], weight=0.01, by="bob", why="it works", **ROLLOUT)
    assert arms(now) == (a, b, 0.01, None), "what is shown is no shadow"
    assert now.split is not None
    assert (now.split.stratum, now.salt) == ("try b@0.01", "s1")
    assert registry.canary(b, weight=0.01, **ROLLOUT).revision == 3  # nothing changed
    assert arms(registry.weigh(0.25, by="bob")) == (a, b, 0.25, None)
    assert registry.weigh(0.25).revision == 4
    assert registry.find("canary").version == b
    now = registry.promote("canary", by="bob", why="+3 %")
    assert arms(now) == (b, None, None, None)
    assert (now.previous, now.salt, now.rollout, now.split) == (a, None, None, None)
    assert arms(registry.rollback(by="eve")) == (a, None, None, None)
    assert [
        (c.action, c.before, c.after, c.canary, c.weight, c.rollout, c.shadow)
        for c in registry.history()
    ] == [
        ("promote", None, a, None, None, None, None),
        ("shadow", a, a, None, None, None, b),
        ("canary", a, a, b, 0.01, "try b", None),
        ("weigh", a, a, b, 0.25, "try b", None),
        ("promote", a, b, None, None, None, None),
        ("rollback", b, a, None, None, None, None),
    ]


def test_a_rollback_while_a_canary_runs_takes_the_canary_alone(tmp_path: Path) -> None:
    registry, (a, b, c) = make_registry(tmp_path, 3)
    registry.promote(a)
    registry.promote(b)
    registry.canary(c, weight=0.5, **ROLLOUT)
    now = registry.rollback(by="eve", why="complaints")
    assert (*arms(now), now.previous) == (b, None, None, None, a)
    assert arms(registry.rollback())[0] == a, "and only the next one goes back further"
    registry.canary(c, weight=0.5, **ROLLOUT | {"rollout": "again"})
    registry.rollback()
    with pytest.raises(ValueError, match="no version was live before"):
        registry.rollback()
    assert registry.stop_canary().revision == registry.pointer().revision, "there is none"
    registry.canary(c, weight=0.5, **ROLLOUT | {"rollout": "once more"})
    assert arms(registry.stop_canary(by="eve")) == (a, None, None, None)
    assert registry.history()[-1].action == "stop_canary"


def test_to_promote_another_version_ends_a_rollout_and_other_fallback_items_do_not(
    tmp_path: Path,
) -> None:
    registry, (a, b, c) = make_registry(tmp_path, 3)
    registry.promote(a)
    registry.canary(b, weight=0.5, **ROLLOUT)
    registry.shadow(c)
    assert arms(registry.promote(a, fallback=names_of(A)[:5])) == (a, b, 0.5, c)
    assert arms(registry.promote(c)) == (c, None, None, None)


def test_what_cannot_be_an_arm_changes_nothing(tmp_path: Path) -> None:
    registry, (a, b, c) = make_registry(tmp_path, 3)
    with pytest.raises(ValueError, match="no live version"):
        registry.canary(b, weight=0.1, **ROLLOUT)
    registry.promote(a)
    turned = registry.add(saved(tmp_path), catalogue=Catalogue(names_of(A)[::-1]))
    plain = registry.add(saved(tmp_path), catalogue=CATALOGUE, retrieval="none")
    wide = registry.add(saved(tmp_path, 7, history_length=9), catalogue=CATALOGUE)
    for version, says in (
        (a, f"{a} is live"), ("zz", "is not there"), (turned, "another catalogue"),
        (plain, "the other has none"), (wide, "another history_length"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=says):
            registry.canary(version, weight=0.1, **ROLLOUT)
        with pytest.raises(ValueError, match=says):
            registry.shadow(version)
    for weight in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="weight is"):
            registry.canary(b, weight=weight, **ROLLOUT)
    with pytest.raises(ValueError, match="no canary to weigh"):
        registry.weigh(0.1)
    assert registry.pointer().revision == 1
    registry.canary(b, weight=0.1, **ROLLOUT)
    with pytest.raises(ValueError, match=f"{b} is the canary already, of rollout 'try b'"):
        registry.canary(c, weight=0.1, **ROLLOUT)
    with pytest.raises(ValueError, match="is the canary: a shadow is"):
        registry.shadow(b)
    with pytest.raises(ValueError, match="weight is 2"):
        registry.weigh(2)
    assert registry.pointer().revision == 2


def test_the_id_of_a_rollout_that_ended_is_refused(tmp_path: Path) -> None:
    registry, (a, b, _) = make_registry(tmp_path, 3)
    registry.promote(a)
    registry.canary(b, weight=0.1, **ROLLOUT)
    registry.rollback()
    before = registry.pointer()
    with pytest.raises(ValueError, match="there was a rollout"):
        registry.canary(b, weight=0.1, **ROLLOUT | {"salt": "another"})
    assert registry.pointer() == before


def test_who_saw_an_older_pointer_changes_nothing(tmp_path: Path) -> None:
    registry, (a, b) = make_registry(tmp_path)
    seen = registry.promote(a, by="ann").revision
    assert registry.canary(b, weight=0.1, expect=seen, by="bob", **ROLLOUT).revision == 2
    for change in (
        lambda: registry.canary(b, weight=0.1, expect=seen, **ROLLOUT),
        lambda: registry.weigh(0.5, expect=seen),
        lambda: registry.weigh(0.1, expect=seen),  # also where nothing would change
        lambda: registry.stop_canary(expect=seen),
        lambda: registry.shadow(None, expect=seen),
        lambda: registry.promote(b, expect=seen),
        lambda: registry.rollback(expect=seen),
    ):
        with pytest.raises(PointerMovedError, match=r"revision 2 \(canary by bob\), and 1 was"):
            change()
    assert registry.pointer().weight == 0.1


def test_of_many_who_saw_the_same_pointer_one_changes_it(tmp_path: Path) -> None:
    registry, (a, b) = make_registry(tmp_path)
    registry.promote(a)
    seen = registry.canary(b, weight=0.0, **ROLLOUT).revision

    def weigh(nth: int) -> bool:
        try:
            Registry(registry.folder).weigh((nth + 1) / 100, expect=seen)
        except PointerMovedError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(weigh, range(32))) == 1
    assert registry.pointer().revision == seen + 1


def test_a_pointer_with_half_a_canary_is_damaged(tmp_path: Path) -> None:
    for said, why in (
        (b'{"live":"a","canary":"b"}', "weight is null: a canary must have it"),
        (b'{"canary":"b","weight":0.5,"salt":"s"}', "rollout is null"),
        (b'{"canary":"b","weight":3,"salt":"s","rollout":"r"}', "weight is 3.0; a share"),
    ):
        with pytest.raises(ValueError, match=f"damaged: {why}"):
            parse_pointer(said, tmp_path / "pointer.json")
    assert parse_pointer(b'{"live":"a"}', tmp_path).split is None


def test_a_rollback_with_a_shadow_alone_says_how_to_end_it(tmp_path: Path) -> None:
    registry, (a, b) = make_registry(tmp_path)
    registry.promote(a)
    registry.shadow(b)
    with pytest.raises(ValueError, match=f"{b} is asked in the shadow alone, .* release stop"):
        registry.rollback()
