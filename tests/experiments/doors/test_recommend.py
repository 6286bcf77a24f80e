"""Recommendations by the user's own ids, from an encoder and from a policy."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.__main__ import main
from offpolicy import LoggedDataset
from policies import build, recommend_items, save, serving_of_log
from policies.encoders import ENCODERS, Sequences
from policies.saving import checkpoint

RING = tuple(f"trk_{i}" for i in range(12))  # everybody walks it: after trk_i comes trk_(i + 1)


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    """Plays of 40 users in foreign columns, and an encoder that has learnt them, in `run`."""
    rows = [
        f"u_{u},{RING[(u + t) % 12]},2024-01-{t + 1:02d}T00:00:00Z"
        for u in range(40)
        for t in range(8)
    ]
    (tmp_path / "plays.csv").write_text("user_id,track_id,played_at\n" + "\n".join(rows) + "\n")
    assert main(["inspect", str(tmp_path / "plays.csv"), "--out", str(tmp_path / "it.yaml")]) == 0
    train = ["train-encoder", "--data", str(tmp_path / "plays.csv"), "--model", "markov"]
    columns = ["--columns", str(tmp_path / "it.yaml")]
    assert main([*train, *columns, "--out", str(tmp_path / "run")]) == 0
    return tmp_path


def asked(ring: Path, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, object]:
    capsys.readouterr()
    model = ["--encoder", str(ring / "run")]
    assert main(["recommend", *model, "-k", "3", "--json", *options]) == 0
    answer: dict[str, object] = json.loads(capsys.readouterr().out)
    return answer


def items(answer: dict[str, object]) -> list[str]:
    rows = answer["items"]
    assert isinstance(rows, list)
    return [row["item"] for row in rows]


def test_a_history_of_ids_leads_to_the_next_ones(
    ring: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert items(asked(ring, capsys, "--history", "trk_3, trk_4"))[0] == "trk_5"
    python = recommend_items(ring / "run" / "checkpoint", ["trk_3", "trk_4"], 3)
    assert recommend_items(ring / "run", ["trk_3", "trk_4"], 3) == python, "the run folder as well"
    assert list(python.items) == items(asked(ring, capsys, "--history", "trk_3,trk_4"))
    assert python.scores is not None
    assert sorted(python.scores, reverse=True) == list(python.scores)


def test_a_user_is_looked_up_by_id(ring: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = ("--data", str(ring / "plays.csv"), "--columns", str(ring / "it.yaml"))
    by_user = asked(ring, capsys, "--user", "u_1", *told)  # who walked trk_1 ... trk_8
    assert items(by_user)[0] == "trk_9"
    assert by_user["history"] == 8
    assert main(["recommend", "--encoder", str(ring / "run"), "--user", "u_99", *told]) == 2
    assert "'u_99' is none of the 40 users; one of them is 'u_9'" in capsys.readouterr().err


def test_what_was_consumed_comes_again_only_where_it_is_asked_for(
    ring: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    walked = ",".join(RING[:9])
    assert set(items(asked(ring, capsys, "--history", walked))) == set(RING[9:])
    every = asked(ring, capsys, "--history", walked, "--repeat", "-k", "12")
    assert set(items(every)) == set(RING)
    assert main(["recommend", "--encoder", str(ring / "run"), "--history", walked, "-k", "4"]) == 2
    assert "k is 4 and 3 items can be shown" in capsys.readouterr().err


def test_an_unknown_id_is_told(ring: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recommend", "--encoder", str(ring / "run"), "--history", "trk_3,trk_99"]) == 2
    assert "history[1] holds 'trk_99', which is none of the 12 items" in capsys.readouterr().err


def test_items_that_the_model_has_not_seen_are_left_out_and_counted(
    ring: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (ring / "plays.csv").open("a") as file:
        file.write("u_1,new_song,2024-02-01T00:00:00Z\n")
    told = ("--data", str(ring / "plays.csv"), "--columns", str(ring / "it.yaml"))
    by_user = asked(ring, capsys, "--user", "u_1", *told)
    assert items(by_user)[0] == "trk_9"
    assert by_user["notes"] == ["1 of 9 items are unknown to the model"]


def test_a_policy_keeps_the_names_of_its_log_and_says_what_it_would_show(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng, songs = np.random.default_rng(0), np.array(["jam", "pie", "tea", "rye"])
    shown = songs[rng.integers(0, 4, 400)]
    log = LoggedDataset.from_columns(
        session=np.arange(400), step=np.zeros(400, int), slate=shown, propensity=np.full(400, 0.25),
        reward=(shown == "pie") * 2.0 + (shown == "tea"), consumed=shown, n_items=4,
    )  # fmt: skip
    policy = build("popularity", serving_of_log(log), temperature=1.0)
    policy.update(log)
    save(policy, tmp_path / "policy")
    made = recommend_items(policy, ["tea"], 1)
    assert made.items[0] in {"jam", "pie", "rye"}
    assert made.first_place is not None
    assert made.propensity == pytest.approx(made.first_place[0])  # slates of one place
    capsys.readouterr()
    assert (
        main(["recommend", "--policy", str(tmp_path / "policy"), "--history", "tea", "-k", "1"])
        == 0
    )
    assert made.items[0] in capsys.readouterr().out


def test_names_stand_with_the_encoder_and_change_its_hash(tmp_path: Path) -> None:
    from offpolicy.vocabulary import Vocabulary

    encoder = ENCODERS["popularity"]().fit(Sequences.from_lists([[0, 1, 1]], n_items=2))
    items = checkpoint.Catalogue.of("shop", ["a", "b"])
    plain = checkpoint.save(encoder, tmp_path / "plain", catalogue=items)
    named = checkpoint.save(
        encoder, tmp_path / "named", catalogue=items, items=Vocabulary(("a", "b"))
    )
    assert plain != named
    assert checkpoint.item_names(tmp_path / "plain") is None
    kept = checkpoint.item_names(tmp_path / "named")
    assert kept is not None
    assert kept.names == ("a", "b")
    one, two = (checkpoint.load(tmp_path / n).scores([[0]]) for n in ("plain", "named"))
    np.testing.assert_array_equal(one, two)
    with pytest.raises(ValueError, match="there are 3 names for the items"):
        checkpoint.save(
            encoder, tmp_path / "no", catalogue=items, items=Vocabulary(("a", "b", "c"))
        )
