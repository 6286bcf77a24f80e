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

    def scored(self, score: float) -> Epoch:
        """The same line with its validation score."""
        return dataclasses.replace(self, score=score)


@dataclass(slots=True)
class Progress:
    """Where a training run stands; `add` writes it down whole after every epoch."""

    network: nn.Module
    step: torch.optim.Optimizer
    rng: np.random.Generator
    run: str  # a hash of settings and data: a folder goes on with nothing else
    folder: Path | None
    curve: list[Epoch] = field(default_factory=list)
    best: dict[str, Tensor] | None = None

    @classmethod
    def begin(
        cls,
        network: nn.Module,
        step: torch.optim.Optimizer,
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
        mark = hashlib.sha256(settings.encode())
        mark.update(sequences.items.tobytes() + sequences.offsets.tobytes())
        if sequences.item_features is not None:
            mark.update(sequences.item_features.tobytes())
        made = cls(network, step, rng, mark.hexdigest(), folder)
        if folder is not None and (folder / ABOUT).is_file():
            made._take_up(folder)
        return made

    def finished(self, config: Any) -> bool:
        """All epochs are done, or `patience` of them brought nothing better."""
        if len(self.curve) >= config.epochs:
            return True
        scores = [e.score for e in self.curve]
        if not scores or math.isnan(scores[-1]):
            return False
        since = len(scores) - 1 - int(np.argmax(scores))
        return since >= int(config.patience)

    def keep(self, line: Epoch) -> None:
        """The network's weights, if no epoch before this one scored as high."""
        if line.score > max((e.score for e in self.curve), default=-math.inf):
            self.best = copied(self.network)

    def add(self, line: Epoch, *, write: bool = True) -> None:
        """One more epoch is done."""
        self.curve.append(line)
        if self.folder is not None and write:
            self._write(self.folder)

    def _write(self, folder: Path) -> None:
        from safetensors.torch import save

        folder.mkdir(parents=True, exist_ok=True)
        held = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        held |= {f"best.{k}": v for k, v in (self.best or {}).items()}
        for number, state in self.step.state_dict()["state"].items():
            held |= {f"step.{number}.{k}": torch.as_tensor(v) for k, v in state.items()}
        for number, noise in enumerate(noises(self.network)):
            held[f"noise.{number}"] = noise.generator.get_state()
        lines = [dataclasses.asdict(e) for e in self.curve]
        about = {"run": self.run, "rng": self.rng.bit_generator.state, "curve": lines}
        text = io.StringIO()
        table = csv.DictWriter(text, fieldnames=list(lines[0]))
        table.writeheader()
        table.writerows(lines)
        about["weights"] = digest = hashlib.sha256(weights := save(held)).hexdigest()
        write_bytes(folder / f"{digest[:12]}.{STATE}", weights)
        write_bytes(folder / ABOUT, json.dumps(about).encode())  # from here on the new state counts
        write_bytes(folder / CURVE, text.getvalue().encode())
        for old in folder.glob(f"*.{STATE}"):
            if not old.name.startswith(digest[:12]):
                old.unlink()

    def _take_up(self, folder: Path) -> None:
        from safetensors.torch import load

        about = json.loads((folder / ABOUT).read_text())
        if about["run"] != self.run:
            raise ValueError(
                f"{folder} holds a training run with other settings or other data; give another "
                "folder, or delete it to start anew"
            )
        held = load((folder / f"{about['weights'][:12]}.{STATE}").read_bytes())
        self.curve = [Epoch(**line) for line in about["curve"]]
        self.rng.bit_generator.state = about["rng"]
        self.network.load_state_dict(_under("network.", held))
        self.best = _under("best.", held) or None
        whole = self.step.state_dict()
        whole["state"] = {}
        for name, value in _under("step.", held).items():
            number, key = name.split(".", 1)
            whole["state"].setdefault(int(number), {})[key] = value
        self.step.load_state_dict(whole)
        for place, noise in enumerate(noises(self.network)):
            noise.generator.set_state(held[f"noise.{place}"])


def copied(network: nn.Module) -> dict[str, Tensor]:
    """The weights by name, as they are now."""
    return {k: v.clone() for k, v in network.state_dict().items()}


def _under(prefix: str, held: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in held.items() if k.startswith(prefix)}
