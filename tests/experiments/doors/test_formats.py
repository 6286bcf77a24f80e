"""Small files as other projects write them, and the values that they hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.__main__ import main
from experiments.data.datasets import Interactions, load
from experiments.doors.formats.open_bandit import log_of_feedback, scores_of_distribution
from experiments.doors.formats.registry import FORMATS, read_format
from offpolicy import LoggedDataset, read_log


def log_of(name: str, path: Path) -> LoggedDataset:
    log = read_format(name, path)
    assert isinstance(log, LoggedDataset)
    return log


def feedback() -> dict[str, Any]:
    return {
        "n_rounds": 3, "n_actions": 2, "action": np.array([0, 1, 1]), "reward": np.array([1, 0, 1]),
        "position": np.array([0, 1, 0]), "pscore": np.array([0.5, 0.25, 0.75]),
        "context": np.ones((3, 2)),
    }  # fmt: skip


def test_open_bandit_feedback_and_a_distribution_by_position(tmp_path: Path) -> None:
    log = log_of_feedback(feedback())
    assert (log.n_sessions, log.n_items, log.propensity.tolist()) == (3, 2, [0.5, 0.25, 0.75])
    dist = np.array([[[0.9, 0.2], [0.1, 0.8]]] * 3)  # (3, 2, 2)
    assert scores_of_distribution(feedback(), dist).propensity.tolist() == [0.9, 0.8, 0.1]
    with pytest.raises(ValueError, match=r"action_dist has shape \(3, 2\)"):
        scores_of_distribution(feedback(), dist[:, :, 0])
    np.savez(tmp_path / "obp.npz", **feedback())
    assert log_of("obp", tmp_path / "obp.npz").hash() == log.hash()


def test_dsjson_numbers_actions_from_one_and_costs_are_negative_rewards(tmp_path: Path) -> None:
    rows = [
        {"_label_cost": -1.0, "_label_probability": 0.8, "_label_Action": 2, "_labelIndex": 1,
         "EventId": "e1", "a": [2, 1, 3], "p": [0.8, 0.1, 0.1], "c": {"_multi": [{}, {}, {}]}},
        {"_label_cost": 0.0, "_label_probability": 0.5, "_label_Action": 1, "_labelIndex": 0,
         "EventId": "e2", "a": [1, 2], "p": [0.5, 0.5], "pdrop": 0.5},
    ]  # fmt: skip
    file = tmp_path / "it.dsjson"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    log = log_of("dsjson", file)
    assert log.names_of("item", log.slate[:, 0]) == ["2", "1"]
    assert log.names_of("session", log.session) == ["e1", "e2"]
    assert (log.reward.tolist(), log.propensity.tolist()) == ([1, 0], [0.8, 0.5])
    assert log.row_weight is not None
    assert log.row_weight.tolist() == [1, 2]
    file.write_text(json.dumps({"EventId": "e3"}) + "\n")
    with pytest.raises(ValueError, match="line 1 lacks _label_cost, a, p"):
        log_of("dsjson", file)


def test_rllib_batches_are_episodes(tmp_path: Path) -> None:
    batch = {
        "type": "SampleBatch", "eps_id": [7, 7, 9], "obs": [[0.0], [1.0], [2.0]],
        "actions": [1, 0, 1], "rewards": [0.5, 1, 2], "terminateds": [False, True, True],
        "action_logp": np.log([0.5, 0.25, 1]).tolist(),
    }  # fmt: skip
    (tmp_path / "it.json").write_text(json.dumps(batch) + "\n")
    log = log_of("rllib", tmp_path / "it.json")
    assert (log.n_sessions, log.step.tolist()) == (2, [0, 1, 0])
    np.testing.assert_allclose(log.propensity, [0.5, 0.25, 1])
    assert log.session_rewards().tolist() == [1.5, 2]
    (tmp_path / "it.json").write_text(json.dumps(batch | {"obs": "BCJNGG"}) + "\n")
    with pytest.raises(ValueError, match="obs is compressed"):
        log_of("rllib", tmp_path / "it.json")


@pytest.mark.parametrize("name", ["dsjson", "rllib"])
def test_a_line_that_is_cut_short_is_named(name: str, tmp_path: Path) -> None:
    file = tmp_path / "it.json"
    file.write_text('\n{"a": [1')
    with pytest.raises(ValueError, match=r"it\.json, line 2 is not JSON"):
        read_format(name, file)


def test_d3rlpy_episodes_end_at_terminals_and_timeouts(tmp_path: Path) -> None:
    arrays = {
        "observations": np.zeros((4, 2)), "actions": np.array([0, 1, 1, 0]),
        "rewards": np.arange(4), "terminals": np.array([0, 1, 0, 0]),
        "timeouts": np.array([0, 0, 0, 1]),
    }  # fmt: skip
    np.savez(tmp_path / "bare.npz", **arrays)
    with pytest.raises(ValueError, match="lacks propensity"):
        log_of("d3rlpy", tmp_path / "bare.npz")
    np.savez(tmp_path / "it.npz", propensity=np.full(4, 0.5), **arrays)
    log = log_of("d3rlpy", tmp_path / "it.npz")
    assert log.session_rewards().tolist() == [1, 5]
    assert (log.terminated.tolist(), log.truncated.tolist()) == (
        [False, True, False, False], [False, False, False, True],
    )  # fmt: skip


def test_kuairand_keeps_its_random_rows(tmp_path: Path) -> None:
    head = "user_id,video_id,time_ms,is_click,is_rand\n"
    (tmp_path / "k.csv").write_text(head + "1,30,5,1,1\n1,31,6,0,0\n2,40,7,0,1\n")
    log = log_of("kuairand", tmp_path / "k.csv")
    assert log.names_of("item", log.slate[:, 0]) == ["30", "40"]
    assert log.propensity.tolist() == [0.5, 0.5]
    assert log.user is not None
    assert log.names_of("user", log.user) == ["1", "2"]


def test_recbole_and_finn_become_interactions(tmp_path: Path) -> None:
    head = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    (tmp_path / "a.inter").write_text(head + "u\tb\t5\t2\nu\ta\t3\t1\nv\tb\t1\t3\n")
    data = read_format("recbole", tmp_path / "a.inter")
    assert isinstance(data, Interactions)
    assert data.users is not None
    assert (data.users.names, data.item_names) == (("u", "v"), ("a", "b"))
    assert [s.tolist() for s in data.sequences] == [[0, 1], [1]]
    np.savez(tmp_path / "f.npz", userId=np.array([5, 6]), click=np.array([[9, 1, 4], [1, 4, 0]]))
    finn = read_format("finn", tmp_path / "f.npz")
    assert isinstance(finn, Interactions)
    assert finn.item_names == ("4", "9")  # 0 pads, and 1 is no click
    assert [s.tolist() for s in finn.sequences] == [[1, 0], [0]]


def test_one_command_writes_what_all_others_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "obp.npz", **feedback())
    assert main(["import", "obp", str(tmp_path / "obp.npz"), "--out", str(tmp_path / "log")]) == 0
    assert read_log(tmp_path / "log").hash() == log_of_feedback(feedback()).hash()
    head = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    (tmp_path / "a.inter").write_text(head + "u\tb\t5\t2\nu\ta\t3\t1\n")
    out = str(tmp_path / "a.parquet")
    assert main(["import", "recbole", str(tmp_path / "a.inter"), "--out", out]) == 0
    assert load(out).sequences[0].tolist() == [0, 1]
    assert main(["import", "csv", out, "--out", out]) == 2


BANNERS = """example 17: aa11 1 0.25 2 3 0:300 1:2
0 exid:17 11:1 12:4
1 exid:17 11:2
0 exid:17 11:1 12:4

example 18: bb22 0 8.0 1 2 0:90
0 exid:18 11:2
0 exid:18 11:9
"""
CHALLENGE = """68 |l 0.999 |p 320 |f 0:300 1:600
68 |f 0:300 1:7
69 |l 0.001 |p 4 |f 0:300 1:7
69 |f 0:300 1:8
"""


def test_criteo_banners_show_their_first_candidates(tmp_path: Path) -> None:
    (tmp_path / "it.txt").write_text(BANNERS)
    log = log_of("criteo", tmp_path / "it.txt")
    assert log.names_of("session", log.session) == ["17", "18"]
    assert log.names_of("item", log.slate[0]) == ["11:1 12:4", "11:2"]
    assert log.slate[1].tolist() == [1, -1]
    assert log.propensity.tolist() == [0.25, 0.125]  # above 1: an inverse propensity
    assert log.reward.tolist() == [1, 0]
    assert log.consumed is not None
    assert log.consumed.tolist() == [1, -1]
    assert log.candidates is not None
    assert log.names_of("item", log.candidates[0]) == ["11:1 12:4", "11:2", "11:1 12:4 #2"]
    out = tmp_path / "log"
    assert main(["import", "criteo", str(tmp_path / "it.txt"), "--out", str(out)]) == 0
    assert read_log(out).hash() == log.hash()


def test_criteo_lines_of_one_slot(tmp_path: Path) -> None:
    (tmp_path / "it.txt").write_text(CHALLENGE)
    log = log_of("criteo", tmp_path / "it.txt")
    assert log.slate.tolist() == [[0], [1]]
    assert (log.propensity.tolist(), log.reward.tolist()) == ([1 / 320, 0.25], [0, 1])
    assert log.n_items == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BANNERS.replace("2 3 0:300", "2 4 0:300"), "line 1: 17 has 3 candidates below it"),
        (
            BANNERS.replace("exid:18 11:9", "exid:19 11:9"),
            "line 8: .* \\(a candidate of 19 stands under 18",
        ),
        (BANNERS.replace("0.25", "much"), "line 1: .* is none of its lines"),
        ("\n", "holds no impression"),
    ],
)
def test_criteo_text_of_another_layout_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "it.txt").write_text(text)
    with pytest.raises(ValueError, match=said):
        read_format("criteo", tmp_path / "it.txt")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"1 |l nan |p .5 |f a", "the cost is nan"),
        (b"1 |l 999 |p .5 |f a", "the cost is 999"),
        (b"1 |l .9 |p inf |f a", "the propensity is inf"),
        (b"1 |l .9 |p nan |f a", "the propensity is nan"),
        (b"1 |l .9 |p .5 |f \xff", "can't decode byte 0xff"),
        (b"example 1: x 7 4.0 1 1 0:3", "7 is no click"),
        (b"example 1: x 0 4.0 1 1 0:3\nnan exid:1 2:3", "nan is no click"),
    ],
)
def test_criteo_values_that_cannot_be(tmp_path: Path, line: bytes, said: str) -> None:
    (tmp_path / "it.txt").write_bytes(b"\n" + line + b"\n")
    with pytest.raises(ValueError, match=f"line [23]: .*{said}"):
        read_format("criteo", tmp_path / "it.txt")


def test_criteo_products_whose_names_look_like_numbered_ones(tmp_path: Path) -> None:
    (tmp_path / "it.txt").write_text("\ufeff1 |l .9 |p .5 |f a #2\n1 |f a\n1 |f a\n", "utf-8")
    log = log_of("criteo", tmp_path / "it.txt")
    assert log.candidates is not None
    assert log.names_of("item", log.candidates[0]) == ["a #2", "a", "a #3"]


def test_every_format_has_a_reader() -> None:
    for name in FORMATS:
        with pytest.raises(FileNotFoundError, match="there is no file"):
            read_format(name, "nowhere")
