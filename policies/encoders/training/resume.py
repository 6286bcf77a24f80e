"""The state of training: the curve, the best weights, and a folder to go on from after a kill."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from offpolicy.storage.atomic import write_bytes
from policies.encoders.data.sequences import Sequences
from policies.encoders.nets.layers import noises

CURVE, STATE, ABOUT = "curve.csv", "training.safetensors", "training.json"


@dataclass(frozen=True, slots=True)
class Epoch:
    """One line of the learning curve."""

    epoch: int
    loss: float  # mean over targets
    targets: int
    cpu_seconds: float  # of training alone
    wall_seconds: float
    score: float  # of validation, nan without


@dataclass(slots=True)
class Progress:
    """Where a training run stands; `add` writes it whole to the folder after every epoch."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    rng: np.random.Generator
    run: str  # a hash of settings and data: a folder goes on with nothing else
    folder: Path | None
    curve: list[Epoch] = field(default_factory=list)
    best: dict[str, Tensor] | None = None

    @classmethod
    def begin(
        cls,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        rng: np.random.Generator,
        config: Any,
        sequences: Sequences,
        folder: Path | None,
    ) -> Progress:
        """A fresh run, or the one that was left in the folder.

        Raises:
            ValueError: the folder holds a run with other settings or other data.
        """
        settings = json.dumps(dataclasses.asdict(config), sort_keys=True)
        digest = hashlib.sha256(settings.encode())
        digest.update(sequences.items.tobytes() + sequences.offsets.tobytes())
        if sequences.item_features is not None:
            digest.update(sequences.item_features.tobytes())
        progress = cls(network, optimizer, rng, digest.hexdigest(), folder)
        if folder is not None and (folder / ABOUT).is_file():
            progress._restore(folder)
        return progress

    def finished(self, config: Any) -> bool:
        """All epochs are done, or `patience` of them brought nothing better."""
        if len(self.curve) >= config.epochs:
            return True
        scores = [e.score for e in self.curve]
        if not scores or math.isnan(scores[-1]):
            return False
        since = len(scores) - 1 - int(np.argmax(scores))
        return since >= int(config.patience)

    def keep_best(self, line: Epoch) -> None:
        """The network's weights, if no epoch before this one scored as high."""
        if line.score > max((e.score for e in self.curve), default=-math.inf):
            self.best = copy_weights(self.network)

    def add(self, line: Epoch, *, write: bool = True) -> None:
        """One more epoch is done."""
        self.curve.append(line)
        if self.folder is not None and write:
            self._write(self.folder)

    def to_arrays(self) -> dict[str, Tensor]:
        """Weights, best weights, the optimizer's state and the dropout streams, by name."""
        arrays = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        arrays |= {f"best.{k}": v for k, v in (self.best or {}).items()}
        for number, state in self.optimizer.state_dict()["state"].items():
            arrays |= {f"step.{number}.{k}": torch.as_tensor(v) for k, v in state.items()}
        for number, noise in enumerate(noises(self.network)):
            arrays[f"noise.{number}"] = noise.generator.get_state()
        return arrays

    def set_arrays(self, arrays: dict[str, Tensor]) -> None:
        """Take back what `to_arrays` gave, exactly."""
        self.network.load_state_dict(_under("network.", arrays))
        self.best = _under("best.", arrays) or None
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in _under("step.", arrays).items():
            number, key = name.split(".", 1)
            state.setdefault(int(number), {})[key] = value
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": state})
        for place, noise in enumerate(noises(self.network)):
            noise.generator.set_state(arrays[f"noise.{place}"])

    def _write(self, folder: Path) -> None:
        from safetensors.torch import save

        folder.mkdir(parents=True, exist_ok=True)
        lines = [dataclasses.asdict(e) for e in self.curve]
        table = io.StringIO()
        writer = csv.DictWriter(table, fieldnames=list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)
        weights = save(self.to_arrays())
        digest = hashlib.sha256(weights).hexdigest()
        about = {
            "run": self.run,
            "rng": self.rng.bit_generator.state,
            "curve": lines,
            "weights": digest,
        }
        write_bytes(folder / f"{digest[:12]}.{STATE}", weights)
        write_bytes(folder / ABOUT, json.dumps(about).encode())  # from here on the new state counts
        write_bytes(folder / CURVE, table.getvalue().encode())
        for path in folder.glob(f"*.{STATE}"):
            if not path.name.startswith(digest[:12]):
                path.unlink()

    def _restore(self, folder: Path) -> None:
        from safetensors.torch import load

        about = json.loads((folder / ABOUT).read_text())
        if about["run"] != self.run:
            raise ValueError(
                f"{folder} holds a training run with other settings or other data; give another "
                "folder, or delete it to start anew"
            )
        self.curve = [Epoch(**line) for line in about["curve"]]
        self.rng.bit_generator.state = about["rng"]
        self.set_arrays(load((folder / f"{about['weights'][:12]}.{STATE}").read_bytes()))


def read_curve(folder: Path) -> list[Epoch]:
    """The learning curve of the run that was left in a folder; empty where there is none."""
    if not (folder / ABOUT).is_file():
        return []
    return [Epoch(**line) for line in json.loads((folder / ABOUT).read_text())["curve"]]


def copy_weights(network: nn.Module) -> dict[str, Tensor]:
    """The weights by name, as they are now."""
    return {k: v.clone() for k, v in network.state_dict().items()}


def _under(prefix: str, arrays: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
