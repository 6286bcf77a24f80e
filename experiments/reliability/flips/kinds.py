"""Every kind of saved folder: one to damage, and all that whoever reads it gets."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import NamedTuple

from experiments.reliability.flips import data, learnt, live
from experiments.reliability.flips.damage import DELETED, GONE, OF_ANOTHER, SWAPPED

WHOLE = "whole"


class Kind(NamedTuple):
    """How to make a folder, with other contents for another seed, and how to read it."""

    make: Callable[[Path, int], None]
    contents: Callable[[Path], str]  # a hash of all that is read and of what it answers
    digests: str  # what is compared before anything is used
    lone: tuple[str, ...] = ()  # files that stand for themselves: a whole one of another folder in
    # their place, or none, is another folder

    def judged(self, outcome: str, column: str, done: str) -> str:
        """The outcome, where other contents are those of a lone file that was exchanged as a whole
        or is gone."""
        name = done.removesuffix(OF_ANOTHER).removesuffix(GONE)
        alone = outcome == "other" and name != done and column in (SWAPPED, DELETED)
        return WHOLE if alone and any(fnmatch(name, one) for one in self.lone) else outcome


CONFIG = "of config.json in it, of the weights in it"
KINDS: dict[str, Kind] = {
    "log, a folder": Kind(
        data.make_log, data.log_contents, "of the manifest in it, of every part in the manifest"
    ),
    "log, one file": Kind(
        data.make_file, data.file_contents, "of the metadata and of every page", (data.FILE,)
    ),
    **{
        f"policy, {name}": Kind(partial(learnt.make_policy, make), learnt.policy_contents, CONFIG)
        for name, make in learnt.POLICIES.items()
    },
    **{
        f"encoder, {name}": Kind(
            partial(learnt.make_encoder, name), learnt.encoder_contents, CONFIG
        )
        for name in ("markov", "gru4rec")
    },
    "world": Kind(
        data.make_world, data.world_contents, "of config.json in it, of all arrays in arrays.npz"
    ),
    "registry": Kind(
        live.make_registry,
        live.registry_contents,
        "of every file: of a version in version.json, of the secret beside it, else in the file",
        ("history.jsonl",),
    ),
    "events": Kind(
        live.make_events,
        live.events_contents,
        "a CRC-32 of every line and of every part",
        ("*.jsonl", "*.sessions", ".*.retired"),
    ),
}
