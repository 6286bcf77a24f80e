"""The loop: losses all learn, a killed run goes on exactly, two processes equal one."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policies.encoders import ENCODERS, Sequences, leave_one_out
from policies.encoders.models.neural import NeuralEncoder
from policies.encoders.training.resume import Epoch
from policies.encoders.training.train import learning_rate_schedule

SMALL: dict[str, Any] = {
    "dim": 16, "length": 8, "epochs": 6, "batch_tokens": 200, "negatives": 8, "patience": 9
}  # fmt: skip


def data(users: int = 60) -> Sequences:
    rng = np.random.default_rng(0)
    lists = [(rng.integers(20) + np.arange(rng.integers(4, 20))) % 20 for _ in range(users)]
    return Sequences.from_lists(lists, n_items=20)


def build(name: str = "sasrec", **settings: Any) -> NeuralEncoder:
    made = ENCODERS[name](**SMALL | settings)
    assert isinstance(made, NeuralEncoder)
    return made


@pytest.mark.parametrize("loss", ["sampled", "full", "bce", "gbce"])
def test_every_loss_learns_a_ring(loss: str) -> None:
    # Yes/no questions first learn the base rate alone: with item vectors that begin small it takes
    # up to 60 epochs (240 steps) until vectors turn apart, at norm 1 it took 15 to 30.
    epochs = 15 if loss in {"sampled", "full"} else 120
    made = build(loss=loss, epochs=epochs, lr=1e-2, dropout=0.0).fit(data())
    assert made.scores(np.array([[3, 4, 5], [-1, 8, 9]])).argmax(axis=1).tolist() == [6, 10]


def test_bfloat16_products_learn_too() -> None:
    made = build(bf16=True, epochs=15, lr=1e-2, dropout=0.0).fit(data())
    assert made.scores(np.array([[3, 4, 5]])).argmax() == 6


def test_nothing_to_learn_is_refused_before_training() -> None:
    for lists in ([], [[]], [[3], [4], []]):
        with pytest.raises(
            ValueError, match=r"nothing to learn: none of . sequences has two events"
        ):
            build().fit(Sequences.from_lists(lists, n_items=20))
    nobody = leave_one_out(Sequences.from_lists([[0, 1]], n_items=20)).valid
    reported: list[Epoch] = []
    with pytest.raises(ValueError, match="no queries to validate on"):
        build().fit(data(), valid=nobody, report=reported.append)
    assert not reported


def test_a_loss_without_an_end_is_refused_by_its_epoch_and_rate() -> None:
    with pytest.raises(ValueError, match=r"diverged; lower lr \(it is 1e\+30\)"):
        build(lr=1e30, epochs=4).fit(data())


@pytest.mark.parametrize("loss", ["sampled", "full", "bce", "gbce"])
@pytest.mark.parametrize("name", ["sasrec", "gru4rec", "bert4rec", "average"])
def test_one_user_of_a_tiny_catalogue_is_learnt_from(name: str, loss: str) -> None:
    for n_items in (1, 2):
        sequences = Sequences.from_lists([[0, n_items - 1, 0]], n_items=n_items)
        if (loss, n_items) == ("gbce", 1):
            with pytest.raises(ValueError, match="gbce needs two items"):
                build(name, loss=loss).fit(sequences)
            continue
        made = build(name, loss=loss, epochs=1).fit(sequences)
        assert np.isfinite(made.scores(np.array([[0]]))).all()
        assert made.scores(np.array([[-1]])).shape == (1, n_items)


class KilledError(Exception):
    """The process ends here."""


@pytest.mark.parametrize(
    ("name", "averaging"), [("sasrec", 0.0), ("sasrec", 0.9), ("gru4rec", 0.9), ("bert4rec", 0.0)]
)
def test_a_killed_run_goes_on_exactly(name: str, averaging: float, tmp_path: Path) -> None:
    split = leave_one_out(data())

    def kill(line: Epoch) -> None:
        if line.epoch == 2:
            raise KilledError

    straight = build(name, averaging=averaging).fit(split.train, valid=split.valid)
    with pytest.raises(KilledError):
        build(name, averaging=averaging).fit(
            split.train, valid=split.valid, report=kill, folder=tmp_path
        )
    again = build(name, averaging=averaging).fit(split.train, valid=split.valid, folder=tmp_path)
    for one, two in zip(straight.curve, again.curve, strict=True):
        assert (one.loss, one.score) == (two.loss, two.score)
    for key, array in straight.to_arrays().items():
        np.testing.assert_array_equal(array, again.to_arrays()[key])
    with (tmp_path / "curve.csv").open() as file:
        assert [int(row["epoch"]) for row in csv.DictReader(file)] == list(range(6))


def test_a_half_written_state_does_not_count(tmp_path: Path) -> None:
    build(epochs=2).fit(data(), folder=tmp_path)
    (tmp_path / ".training.json").write_text("{")
    (tmp_path / "0123456789ab.training.safetensors").write_bytes(b"half")
    made = build(epochs=2).fit(data(), folder=tmp_path)  # done already: nothing is trained
    assert len(made.curve) == 2


def test_a_folder_of_other_settings_or_data_is_refused(tmp_path: Path) -> None:
    build(epochs=1).fit(data(), folder=tmp_path)
    with pytest.raises(ValueError, match="other settings or other data"):
        build(epochs=1, lr=0.1).fit(data(), folder=tmp_path)
    with pytest.raises(ValueError, match="other settings or other data"):
        build(epochs=1).fit(data(users=61), folder=tmp_path)


def test_the_learning_rate_rises_peaks_and_falls_to_a_tenth() -> None:
    assert learning_rate_schedule(0.01, 0.02) == pytest.approx(0.5)
    assert learning_rate_schedule(0.02, 0.02) == pytest.approx(1.0)
    assert learning_rate_schedule(0.51, 0.02) == pytest.approx(0.55)
    assert learning_rate_schedule(1.0, 0.02) == pytest.approx(0.1)


WORKER = """
import sys, numpy as np
from policies.encoders import ENCODERS, Sequences
from policies.encoders.training.parallel import ProcessGroup
rng = np.random.default_rng(0)
lists = [(rng.integers(20) + np.arange(rng.integers(4, 20))) % 20 for _ in range(60)]
world = ProcessGroup.join()
made = ENCODERS["sasrec"](
    dim=16, length=8, epochs=2, batch_tokens=200, negatives=8, dropout=0.0
).fit(Sequences.from_lists(lists, n_items=20), world=world)
if world.rank == 0:
    np.savez(sys.argv[1], **made.to_arrays())
"""


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(tmp_path: Path) -> None:
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    root = Path(__file__).resolve().parents[4]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    for command, out in ((launch, "two.npz"), ([sys.executable], "one.npz")):
        done = subprocess.run(
            [*command, str(script), str(tmp_path / out)],
            cwd=root, env={"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin"},
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    one, two = np.load(tmp_path / "one.npz"), np.load(tmp_path / "two.npz")
    for key in one.files:
        np.testing.assert_allclose(one[key], two[key], atol=1e-4)
    assert not np.allclose(one["net.table"], 0)
