"""The path that version 0.1 gave to experiments.data.open_bandit, with its name of the logging
policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experiments.data import open_bandit
from experiments.data.open_bandit import Campaign, LoggingPolicy
from offpolicy import LoggedDataset


def load_open_bandit(root: Path, *, campaign: Campaign, behaviour: LoggingPolicy) -> LoggedDataset:
    """As experiments.data.open_bandit's, whose `policy` is `behaviour` here."""
    return open_bandit.load_open_bandit(root, campaign=campaign, policy=behaviour)


def __getattr__(name: str) -> Any:
    return getattr(open_bandit, name)
