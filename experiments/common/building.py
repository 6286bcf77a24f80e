"""Policies by name: of the registry, of one's own modules, or saved; built with what there is."""

from __future__ import annotations

import inspect
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from experiments.common.key_values import labelled, pairs, typed
from offpolicy import LoggedDataset
from policies import ENCODERS, POLICIES, Encoder, Policy, Serving, build, load, serving_of
from policies.saving import checkpoint
from policies.saving.checkpoint import saved_in


@cache
def parameters(policy: str) -> frozenset[str]:
    """Names of the settings that a policy's builder takes."""
    return frozenset(inspect.signature(POLICIES[policy].load()).parameters) - {"serving"}


def is_saved(source: str) -> bool:
    """Whether it is a place of a saved policy: a folder, or the zip of a stock agent."""
    return Path(source).is_dir() or (source.endswith(".zip") and Path(source).is_file())


def load_saved(source: str | Path, serving: Serving | None = None) -> Policy:
    """The policy of a folder, of a run folder, or of a zip; raises as `policies.load`."""
    return load(saved_in(Path(source)), serving=serving)


def is_saved_encoder(source: str) -> bool:
    """Whether it is the folder of an encoder (a name of ENCODERS comes first)."""
    return source not in ENCODERS and Path(source).is_dir()


def load_saved_encoder(source: str, serving: Serving) -> Encoder:
    """The encoder of a folder, or of the run folder of train-encoder, for a world of its items.

    Raises:
        FileNotFoundError: nothing is saved there.
        ValueError: it is a policy, or of other items.
    """
    folder = saved_in(Path(source))
    encoder, names = checkpoint.load(folder), checkpoint.item_names(folder)
    if encoder.n_items != serving.n_items:
        raise ValueError(
            f"{source} was trained on {encoder.n_items} items and the world has {serving.n_items}: "
            "train it on the data that the world was made from"
        )
    if names is not None and serving.item_names not in (None, names.names):
        raise ValueError(
            f"{source} names its items otherwise than the world: train it on the data that the "
            "world was made from"
        )
    return encoder


class Named(NamedTuple):
    """A policy as commands are told of it: "[label=]NAME[,key=value ...]"."""

    label: str
    source: str  # a name of POLICIES, "module:attribute", or the folder of a saved policy
    settings: dict[str, str]  # as written; of a name's builder

    @property
    def is_saved(self) -> bool:
        """Whether it is a folder (a name of POLICIES comes first)."""
        return self.source not in POLICIES


def named_policy(text: str) -> Named:
    """What a policy's name on a command line means.

    Raises ValueError for what is neither a policy nor a folder, naming what is close, and for
    settings of a saved policy.
    """
    label, rest = labelled(text)
    source, *changes = rest.split(",")
    found = Named(label, source, pairs(tuple(changes)))
    if found.is_saved:
        if not is_saved(source):
            near = get_close_matches(source, POLICIES, n=1)
            meant = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(
                f"no policy {source!r}{meant} There are {', '.join(sorted(POLICIES))}; or name one "
                "of your own, module:attribute, or the folder of a saved one"
            )
        if changes:
            raise ValueError(f"{text}: a saved policy takes no settings")
        if Path(source).is_dir() and not checkpoint.holds_policy(saved_in(Path(source))):
            raise ValueError(f"{source} holds an encoder, no policy")
    return found


def policy_of(named: Named, env: Any, offered: dict[str, Any]) -> Policy:
    """The policy itself, for an environment or its sizes: loaded as it was saved, or built with its
    settings and whatever is `offered` that its builder takes."""
    if named.is_saved:
        return load_saved(named.source, serving_of(env))
    settings = typed(named.label, named.settings, POLICIES[named.source].load())
    rest = {name: value for name, value in offered.items() if name not in settings}
    return build_with(named.source, env, rest, settings)


def build_with(policy: str, env: Any, offered: dict[str, Any], settings: dict[str, Any]) -> Policy:
    """The policy with its settings, and with whatever is `offered` that its builder takes."""
    taken = {name: value for name, value in offered.items() if name in parameters(policy)}
    return build(policy, env, **taken | settings)


def rated(env: Any, warm: LoggedDataset, temperature: float) -> Policy:
    """The usual logging policy: softmax over the mean ratings of a warm-up log."""
    policy = build("top_rated", env, temperature=temperature)
    policy.update(warm)
    return policy
