"""Formats by name: one line each."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from experiments.data.datasets import Interactions
from offpolicy import LoggedDataset


class Format(NamedTuple):
    """A module of `experiments.doors.formats` that has `read(path)`, and what it reads."""

    module: str
    purpose: str


FORMATS: dict[str, Format] = {
    "obp": Format("open_bandit", "feedback of Open Bandit Pipeline (npz) -> log"),
    "dsjson": Format("dsjson", "VowpalWabbit decision-service JSON lines -> log"),
    "rllib": Format("rllib", "RLlib sample batches (JSON lines) -> log"),
    "d3rlpy": Format("d3rlpy", "d3rlpy arrays with propensities (npz) -> log"),
    "kuairand": Format("kuairand", "KuaiRand CSV, the random rows -> log"),
    "criteo": Format("criteo", "Criteo counterfactual text (banners, propensities) -> log"),
    "recbole": Format("recbole", "RecBole atomic files (.inter) -> interactions"),
    "finn": Format("finn", "FINN.no slates (npz) -> interactions"),
}


def read_format(name: str, path: str | Path) -> LoggedDataset | Interactions:
    """A file in a format of another project.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no such format, or a file that breaks it.
    """
    if name not in FORMATS:
        raise ValueError(f"no format {name!r}; there are {', '.join(FORMATS)}")
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}; check the path")
    module: Any = import_module(f"experiments.doors.formats.{FORMATS[name].module}")
    read: Callable[[Path], LoggedDataset | Interactions] = module.read
    return read(Path(path))
