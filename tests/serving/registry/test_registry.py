"""Versions by their content, one pointer, and a history of who changed it."""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offpolicy.storage.sealed import sealed
from policies import Exploration, ScorePolicy, build, save
from policies.baselines.popularity import Popularity
from serving import Catalogue, MemoryLog, Registry, Request, TopVectors, open_engine
from serving.registry import golden
from serving.registry import versions as naming
from serving.registry.durable import append_line
from serving.registry.versions import LogCut
from tests.factories import make_serving
from tests.serving.factories import names_of
from tests.serving.registry.factories import (
    CATALOGUE,
    SERVING,
    VECTORS,
    A,
    C,
    K,
    make_registry,
    saved,
    small_policy,
)


def ask(i: int) -> Request:
    return Request(request_id=f"r{i}", user=f"u{i}", session="s", context=(0.0,))


def gate_report(folder: Path, outcome: str = "pass") -> Path:
    file = folder / "gate.json"
    file.write_text(json.dumps({"candidates": [{"name": "new", "verdict": {"outcome": outcome}}]}))
    return file


def test_a_policy_is_added_promoted_and_served(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry", clock=lambda: 9.0)
    version = registry.add(saved(tmp_path), catalogue=CATALOGUE, note="first", by="ann")
    assert registry.pointer().live is None
    registry.promote(version, by="bob", why="try it", fallback=names_of(A)[: K + 1])
    engine = open_engine(registry, MemoryLog())
    decision = engine.decide(ask(0))
    assert (decision.policy, decision.fallback) == (version, None)
    assert set(decision.items) <= set(names_of(A))
    (change,) = registry.history()
    assert (change.before, change.after, change.by, change.why) == (None, version, "bob", "try it")
    (known,) = registry.versions()
    assert (known.evidence.note, known.evidence.by, known.evidence.added) == ("first", "ann", 9.0)
    assert known.contents.policy == "Constrained > ScorePolicy > Popularity"
    assert known.contents.bytes == sum(
        (known.folder / name).stat().st_size for name in known.contents.files
    )
    # a registry that is opened again has the same secret: the same request, the same slate
    again = open_engine(Registry(tmp_path / "registry"), MemoryLog()).decide(ask(0))
    assert (again.slate, again.user) == (decision.slate, decision.user)


def test_the_version_is_the_content(tmp_path: Path) -> None:
    registry, (a, b) = make_registry(tmp_path)
    assert a != b
    assert registry.add(saved(tmp_path / "copy", 0), catalogue=CATALOGUE) == a
    assert len(registry.versions()) == 2
    others = Catalogue(names_of(A)[::-1])
    c = registry.add(saved(tmp_path, 0), catalogue=others)  # its items mean other things
    d = registry.add(saved(tmp_path, 0), catalogue=CATALOGUE, retrieval=VECTORS[::-1])
    assert len({a, b, c, d}) == 4
    for version, sha256 in ((v.version, v.contents.sha256) for v in registry.versions()):
        assert len(version) == 12
        assert sha256.startswith(version)


def test_adding_again_brings_what_is_known_up_to_date(tmp_path: Path) -> None:
    registry, (a, _) = make_registry(tmp_path)
    cut = LogCut(name="log", rows=9, sessions=3, hash="ab")
    for given in ({"note": "better"}, {"gate": gate_report(tmp_path)}, {"log": cut}):
        assert registry.add(saved(tmp_path, 0), catalogue=CATALOGUE, by="bob", **given) == a
    known = registry.find(a)
    assert (known.evidence.by, known.evidence.note, known.evidence.log) == ("ann", "better", cut)
    assert known.evidence.verdicts == {"new": "pass"}
    assert (known.folder / "gate.json").read_bytes() == gate_report(tmp_path).read_bytes()
    with pytest.raises(ValueError, match="is no gate report: write one with longplay gate"):
        registry.add(saved(tmp_path), catalogue=CATALOGUE, gate=known.folder / "items.json")


def test_two_contents_that_begin_alike_get_longer_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = iter("0" * 12 + c * 52 for c in "abca")
    monkeypatch.setattr("serving.registry.adding.content_hash", lambda *_: next(hashes))
    registry, (a, b) = make_registry(tmp_path)
    c = registry.add(saved(tmp_path, 2), catalogue=CATALOGUE)
    assert [a, b, c] == ["0" * 12, "0" * 12 + "b" * 4, "0" * 12 + "c" * 4]
    assert registry.add(saved(tmp_path, 0), catalogue=CATALOGUE) == a
    assert registry.find(a).version == a  # the whole of one name, the beginning of others
    with pytest.raises(ValueError, match=f"is the beginning of {a}, {b}, {c}"):
        registry.find("00000")
    assert naming.SHORT == 12


@pytest.mark.parametrize(
    ("what", "error", "match"),
    [
        ({"catalogue": Catalogue(["a", "b"])}, ValueError, "names 2 items and .* among 24: give"),
        ({"retrieval": "faiss"}, ValueError, "'faiss': there are auto, encoder, features, none"),
        ({"retrieval": "encoder"}, ValueError, "the policy has no encoder"),
        ({"retrieval": VECTORS[:5]}, ValueError, "5 item vectors for a catalogue of 24"),
        ({"retrieval": np.full((A, 2), np.nan)}, ValueError, "finite"),
        ({"note": ""}, ValueError, "note is 0 characters"),
        ({"folder": "nowhere"}, FileNotFoundError, "config.json and weights.safetensors missing"),
        ({"folder": "agent.zip"}, ValueError, r"runs code when it is read: load it with .*trust"),
    ],
)
def test_what_cannot_be_served_is_not_added(
    what: dict[str, Any], error: type[Exception], match: str, tmp_path: Path
) -> None:
    (tmp_path / "agent.zip").write_bytes(b"PK")
    registry = Registry(tmp_path / "registry")
    folder = tmp_path / what.pop("folder") if "folder" in what else saved(tmp_path)
    with pytest.raises(error, match=match):
        registry.add(folder, **{"catalogue": CATALOGUE} | what)
    assert not registry.folder.exists() or registry.versions() == []


def test_an_altered_policy_and_one_that_answers_nothing_are_not_added(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    folder = saved(tmp_path)
    weights = folder / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ValueError, match=r"is not the file that config\.json was written with"):
        registry.add(folder, catalogue=CATALOGUE)
    lost = ScorePolicy(Popularity(SERVING, np.full(A, np.nan)), Exploration(temperature=1.0))
    save(lost, tmp_path / "lost")
    with pytest.raises(ValueError, match="the policy answers none of 16 made-up requests"):
        registry.add(tmp_path / "lost", catalogue=CATALOGUE)


def test_what_is_too_large_is_neither_added_nor_loaded(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    size = sum(one.stat().st_size for one in folder.iterdir())
    small = Registry(tmp_path / "registry", limit=size - 1)
    said = (  # memory that loading took is measured, and may be more than the files
        r"takes .* MB (on disk|of memory while it is loaded); the limit is .* MB\. "
        r"Learn a smaller one .*--limit-mb"
    )
    with pytest.raises(ValueError, match=said):
        small.add(folder, catalogue=CATALOGUE)
    version = Registry(small.folder).add(folder, catalogue=CATALOGUE)
    with pytest.raises(ValueError, match=said):
        small.load(version)
    # a policy that is small on disk and large in memory
    file = small.folder / "versions" / version / "evidence.json"
    known = json.loads(file.read_text()) | {"load_bytes": 3_000_000_000}
    file.write_text(json.dumps(sealed(known)))
    with pytest.raises(ValueError, match=r"3,000\.0 MB of memory while it is loaded; the limit is"):
        Registry(small.folder).load(version)


def test_memory_is_measured_while_a_version_is_loaded(tmp_path: Path) -> None:
    registry, (a, _) = make_registry(tmp_path)
    large = np.zeros((A, 500_000), np.float32)
    large[:] = 1.0  # 48 MB
    serving = make_serving(A, slate_size=K, n_candidates=C, item_features=large)
    save(ScorePolicy(Popularity(serving, np.ones(A)), Exploration()), tmp_path / "large")
    del large, serving
    b = registry.add(tmp_path / "large", catalogue=CATALOGUE, retrieval="none")
    small, big = (registry.find(v).evidence.load_bytes for v in (a, b))
    if small is None or big is None:
        pytest.skip("this system does not tell the peak of a process")
    # the array is 48 MB; pages that the process had already may serve for a part of it
    assert small < 20_000_000 < 40_000_000 < big < 300_000_000


# ---- what is live


def test_promote_and_roll_back(tmp_path: Path) -> None:
    registry, (a, b) = make_registry(tmp_path)
    with pytest.raises(ValueError, match="nothing to roll back to: no version was live before"):
        registry.rollback()
    assert registry.promote(a[:6], by="ann").live == a
    assert registry.promote(a).revision == 1  # nothing changed
    registry.promote(b, by="bob", why="uplift of 3 %")
    assert (registry.pointer().live, registry.pointer().previous) == (b, a)
    registry.rollback(by="eve", why="complaints")
    assert (registry.pointer().live, registry.pointer().previous) == (a, None)
    with pytest.raises(ValueError, match=f"{a} came by a rollback from {b}, by eve; promote"):
        registry.rollback()
    registry.promote(b, by="ann")
    assert registry.rollback().live == a
    moves = [(c.action, c.before, c.after) for c in registry.history()]
    assert moves == [
        ("promote", None, a), ("promote", a, b), ("rollback", b, a),
        ("promote", a, b), ("rollback", b, a),
    ]  # fmt: skip
    assert [c.revision for c in registry.history()] == [1, 2, 3, 4, 5]
    assert [c.why for c in registry.history()][1:3] == ["uplift of 3 %", "complaints"]


def test_fallback_items_are_those_of_the_live_catalogue(tmp_path: Path) -> None:
    registry, (a, b) = make_registry(tmp_path)
    for items, said in ((["x"] * K, "3 items not in the catalogue"), (["item-1"], "give 3 to 8")):
        with pytest.raises(ValueError, match=said):
            registry.promote(a, fallback=items)
    assert registry.pointer().live is None
    items = tuple(names_of(A)[4:8])
    registry.promote(a, fallback=items)
    registry.promote(b)
    assert registry.load().fallback == registry.pointer().fallback == items
    assert registry.promote(b, fallback=()).previous == a
    assert registry.history()[-1].action == "fallback"
    assert registry.load().fallback == ()


def test_who_changes_at_once_loses_nothing(tmp_path: Path) -> None:
    registry, versions = make_registry(tmp_path, 3)

    def change(nth: int) -> int:
        mine = Registry(registry.folder)
        return mine.promote(versions[nth % 3], by=f"writer {nth}", why=str(nth)).revision

    with ThreadPoolExecutor(8) as pool:
        revisions = set(pool.map(change, range(48)))
    history = registry.history()
    assert [c.revision for c in history] == list(range(1, len(history) + 1))
    assert revisions == {c.revision for c in history}
    assert all(b.before == a.after for a, b in pairwise(history))
    assert history[-1].after == registry.pointer().live


def test_a_damaged_version_is_not_promoted_and_is_mended_by_adding_it_again(
    tmp_path: Path,
) -> None:
    registry, (a, b) = make_registry(tmp_path)
    registry.promote(a)
    broken = {
        "policy/weights.safetensors": (lambda f: f.write_bytes(b"x" * f.stat().st_size), "sha256"),
        "golden.safetensors": (lambda f: f.unlink(), "is missing"),
        "items.json": (lambda f: f.write_bytes(b"[]"), "has 2 bytes instead of"),
        "version.json": (lambda f: f.write_bytes(b"{"), "is damaged"),
        "evidence.json": (lambda f: f.unlink(), "is missing"),
    }
    for name, (breaks, said) in broken.items():
        breaks(registry.folder / "versions" / b / name)  # type: ignore[no-untyped-call]
        for use in (registry.promote, registry.load):
            with pytest.raises((ValueError, OSError), match=f"{said}.*add the policy again"):
                use(b)
        assert registry.pointer().live == a
        assert registry.add(saved(tmp_path, 1), catalogue=CATALOGUE) == b
        assert registry.load(b).version == b
    shutil.rmtree(registry.folder / "versions" / a)
    with pytest.raises(ValueError, match=f"'{a}' is not there; there are {b}"):
        registry.promote(a)


def test_what_is_no_registry_says_how_to_make_one(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "typo")
    for use in (
        registry.pointer, registry.history, registry.versions, registry.load, registry.rollback,
        registry.secret, lambda: registry.promote("ab"), lambda: registry.find("ab"),
    ):  # fmt: skip
        with pytest.raises(FileNotFoundError, match="is no registry: longplay release add POLICY"):
            use()
    assert not registry.folder.exists()
    registry, _ = make_registry(tmp_path)
    with pytest.raises(ValueError, match="has no live version: longplay release promote"):
        registry.load()
    with pytest.raises(ValueError, match="'zz' is not there; there are"):
        registry.load("zz")


# ---- pointer and history, damaged


def test_a_torn_line_is_left_out_and_mended(tmp_path: Path) -> None:
    registry, (a, b) = make_registry(tmp_path)
    registry.promote(a)
    file = registry.folder / "history.jsonl"
    with file.open("ab") as history:
        history.write(b'{"schema":1,"type":"chan')
    assert [c.after for c in registry.history()] == [a]
    registry.promote(b)
    assert [c.after for c in registry.history()] == [a, b]
    assert file.read_bytes().count(b"\n") == len(file.read_bytes().splitlines()) == 2


def test_a_change_that_is_not_in_the_history_stands_in_the_pointer(tmp_path: Path) -> None:
    registry, (a, b) = make_registry(tmp_path)
    for version in (a, b, a):
        registry.promote(version)
    file = registry.folder / "history.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-1]))
    assert [c.after for c in registry.history()] == [a, b, a]
    registry.rollback()
    assert [c.after for c in registry.history()] == [a, b, a, b]
    assert len(file.read_bytes().splitlines()) == 4


def test_a_damaged_pointer_is_named_and_can_be_deleted(tmp_path: Path) -> None:
    registry, (a, b) = make_registry(tmp_path)
    registry.promote(a)
    registry.promote(b)
    file = registry.folder / "pointer.json"
    good = json.loads(file.read_bytes())
    for content, said in (
        (b"", "no JSON"), (b"[]", "an object"), (b'{"live":3}', "live is of type int"),
        (json.dumps(good | {"schema": 2}).encode(), "schema is not 1"),
        (json.dumps(good | {"changed": 3}).encode(), "changed is"),
        (json.dumps(good | {"canaries": 3}).encode(), "'canaries' is no field"),
    ):  # fmt: skip
        file.write_bytes(content)
        with pytest.raises(ValueError, match=rf"pointer.json is damaged: .*{said}.*delete the"):
            registry.load()
    file.unlink()
    registry.promote(a)
    assert [c.revision for c in registry.history()] == [1, 2, 3]
    history = registry.folder / "history.jsonl"
    history.write_bytes(b"nonsense\n" + history.read_bytes())
    with pytest.raises(ValueError, match=r"history.jsonl is damaged at line 1: .*Move the file"):
        registry.history()
    assert registry.promote(b).live == b  # the way back is open all the same


def test_a_line_that_could_not_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "lines"
    append_line(file, b"one")
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: real(fd, data[:2], at))
    with pytest.raises(OSError, match="only 2 bytes"):
        append_line(file, b"two")
    assert file.read_bytes() == b"one\n"


# ---- what is checked before it serves


def test_golden_requests_tell_another_policy(tmp_path: Path) -> None:
    """A policy whose files are whole and whose answers are others: another machine's, say."""
    registry, (a, _) = make_registry(tmp_path)
    release = registry.load(a)
    assert len(release.golden.obs) == golden.REQUESTS
    lengths = (release.golden.obs.history_items >= 0).sum(axis=1)
    assert (lengths.min(), lengths.max()) == (0, SERVING.history_length)
    assert golden.check_golden(small_policy(0), release.golden) < 1e-9
    counts = np.exp(np.random.default_rng(0).normal(size=A)).astype(np.float32)
    for factor, passes in ((1 + 1e-5, True), (1 + 3e-2, False)):
        moved = counts.copy()
        moved[: A // 2] *= factor
        policy = ScorePolicy(Popularity(SERVING, moved), Exploration(temperature=1.0))
        mine = golden.make_golden(
            ScorePolicy(Popularity(SERVING, counts), Exploration(temperature=1.0)),
            TopVectors(VECTORS, C),
        )
        if passes:
            assert 0 < golden.check_golden(policy, mine) < golden.TOLERANCE / 10
        else:
            with pytest.raises(ValueError, match=r"golden request \d+: probabilities differ by"):
                golden.check_golden(policy, mine)


def test_every_size_of_batch_is_answered_before_a_version_serves(tmp_path: Path) -> None:
    registry, (a, _) = make_registry(tmp_path)
    release, sizes = registry.load(a), list[int]()

    class Counting:
        serving = release.policy.serving

        def distribution(self, obs: Any) -> Any:
            sizes.append(len(obs))
            return release.policy.distribution(obs)

    golden.warm(Counting(), release.retrieval, release.golden)  # type: ignore[arg-type]
    assert sizes == list(range(1, 33))


def test_requests_without_candidates_get_those_that_the_version_declares(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    found = {}
    for wanted in ("auto", "features", "none", VECTORS[::-1].copy()):
        version = registry.add(saved(tmp_path), catalogue=CATALOGUE, retrieval=wanted)
        found[str(wanted)[:8]] = registry.load(version).retrieval
    histories = np.array([[-1, 3, 9, 1], [-1, -1, -1, -1]], np.int32)
    by_features = TopVectors(VECTORS, C)(histories)
    auto, features, none, own = found.values()
    assert none is None
    assert auto is not None
    assert features is not None
    assert own is not None
    np.testing.assert_array_equal(auto(histories), by_features)
    np.testing.assert_array_equal(features(histories), by_features)
    np.testing.assert_array_equal(own(histories), TopVectors(VECTORS[::-1], C)(histories))
    # a policy over the whole catalogue needs none
    whole = build("popularity", make_serving(A, slate_size=K), temperature=1.0)
    save(whole, tmp_path / "whole")
    version = registry.add(tmp_path / "whole", catalogue=CATALOGUE)
    assert registry.load(version).retrieval is None
    with pytest.raises(ValueError, match="among the whole catalogue: it needs no retrieval"):
        registry.add(tmp_path / "whole", catalogue=CATALOGUE, retrieval="features")


# ---- the secret


def test_the_secret_is_made_once_and_kept_from_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LONGPLAY_SECRET", raising=False)
    registry, _ = make_registry(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        made = {*pool.map(lambda _: Registry(registry.folder).secret(), range(16))}
    assert len(made) == 1
    assert len(made.pop()) == 32
    file = registry.folder / "secret"
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o640)
    with pytest.raises(ValueError, match=r"can be read by others: chmod 600"):
        registry.secret()
    file.chmod(0o600)
    file.write_bytes(b"short")
    with pytest.raises(ValueError, match="has 5 bytes instead of 32: take it from a copy"):
        registry.secret()
    monkeypatch.setenv("LONGPLAY_SECRET", "of the environment")
    assert registry.secret() == b"of the environment"
    monkeypatch.setenv("LONGPLAY_SECRET", "short")
    with pytest.raises(ValueError, match="LONGPLAY_SECRET has 5 bytes; give at least 16"):
        registry.secret()
