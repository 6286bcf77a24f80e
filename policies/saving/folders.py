"""Policies on disk: config.json, weights.safetensors and the encoder they stand on.

Nothing in a folder is run when it is loaded: a class is named by a key of the registry and its own
name (`linucb/LinUCB`), looked up where the registry says that key lives (or among the classes that
the caller names), and arrays are read from safetensors. Files may move; the keys stay.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from policies.base import Policy
from policies.catalog import POLICIES
from policies.encoders.base import Encoder
from policies.observation import Serving, check_same_world, sizes
from policies.saved import Arrays, Savable, Saved, under
from policies.saving import checkpoint, format_1

FORMAT = 2
SHARED: dict[str, str] = {  # classes that several policies of the registry are made of
    "score_policy": "policies.score_policy",
    "constrained": "policies.rules.constraints",
    "reranked": "policies.rules.rerank",
    "sb3_agent": "policies.rl.sb3.agent",
}
OWN = "own"  # the key of a class that the registry does not hold


def save(policy: Policy, folder: str | os.PathLike[str]) -> str:
    """Write a policy whole or not at all, and return its hash; an earlier save is replaced.

    Raises:
        FileExistsError: something else stands there; it is left as it is.
        ValueError: a class that is not `Savable`; names it.
    """
    from safetensors.numpy import save_file

    chain = _chain(policy)
    serving = policy.serving
    arrays: Arrays = {"items": serving.item_features}
    for depth, (_, saved) in enumerate(chain):
        arrays |= {f"{depth}.{name}": value for name, value in saved.arrays.items()}
    arrays = {name: np.asarray(value, order="C") for name, value in arrays.items()}
    with checkpoint.whole_folder(folder, "policy") as aside:
        save_file(arrays, aside / checkpoint.WEIGHTS)
        nodes = [
            {"kind": kind, "config": saved.config, "encoder": _keep(saved, aside, depth, serving)}
            for depth, (kind, saved) in enumerate(chain)
        ]
        about = {
            "format": FORMAT,
            "policy": nodes,
            "serving": sizes(serving),
            "catalogue": catalogue_hash(serving),
            "sha256": checkpoint.digest(arrays),
        }
        text = json.dumps(about, indent=2, allow_nan=False) + "\n"
        (aside / checkpoint.CONFIG).write_text(text)
    return hashlib.sha256(text.encode()).hexdigest()


def load(
    folder: str | os.PathLike[str],
    *,
    serving: Serving | None = None,
    kinds: Sequence[type[Savable]] = (),
    trust: bool = False,
) -> Policy:
    """The policy that was saved: equal probabilities for equal observations.

    serving: refuse a policy of another catalogue, slate size or observation than these.
    kinds: classes of your own that are in no module of POLICIES.
    trust: needed for a Stable-Baselines3 .zip, which can run any code when it is read.

    Raises:
        FileNotFoundError: no policy there.
        ValueError: an altered file, an unknown class or format, another catalogue, a zip untrusted.
    """
    folder = Path(folder)
    if folder.suffix == ".zip" and not folder.is_dir():
        return _from_zip(folder, trust)
    about, arrays = checkpoint.read_folder(folder, (1, FORMAT), "policies.save")
    if "policy" not in about:
        raise ValueError(f"{folder} holds an encoder: load it with policies.checkpoint.load")
    kept = Serving(
        **about["serving"] | {"response_names": tuple(about["serving"]["response_names"])},
        item_features=arrays["items"],
    )
    if serving is not None:
        _check_same_world(kept, serving, folder)
    made: Any = None
    for depth, node in reversed(list(enumerate(about["policy"]))):
        encoder = _kept(node["encoder"], folder / _encoder(depth))
        config, mine = node["config"], under(f"{depth}.", arrays)
        if about["format"] == 1:
            kind = format_1.CLASSES.get(node["kind"], node["kind"])
            config, mine = format_1.current(kind, config, mine)
        saved = Saved(config=config, arrays=mine, encoder=encoder, inner=made)
        made = _kind(node["kind"], kinds, folder).from_saved(saved, kept)
    policy: Policy = made
    return policy


def catalogue_hash(serving: Serving) -> str:
    """A short hash of the items' features in the order of their ids: what ids 0..A-1 stand for."""
    features = np.ascontiguousarray(serving.item_features, dtype=np.float32)
    return hashlib.sha256(repr(features.shape).encode() + features.tobytes()).hexdigest()[:16]


def _chain(policy: Any) -> list[tuple[str, Saved]]:
    """(class, what it is) of the policy, of the one inside it, and so on."""
    chain: list[tuple[str, Saved]] = []
    while policy is not None:
        kind = type(policy)
        if not isinstance(policy, Savable):
            raise ValueError(
                f"{kind.__name__} cannot be saved: give it `saved()` and `from_saved(saved, "
                "serving)`, see policies.saved.Savable"
            )
        chain.append((_name(kind), policy.saved()))
        policy = chain[-1][1].inner
    return chain


def _modules() -> dict[str, str]:
    """Every key under which a class may be saved, and the module it lives in."""
    return SHARED | {key: entry.module for key, entry in POLICIES.items()}


def _name(kind: type) -> str:
    """`key/Class`: the first key of the registry that lives in the class's module."""
    keys = (key for key, module in _modules().items() if module == kind.__module__)
    return f"{next(keys, OWN)}/{kind.__qualname__}"


def _kind(name: str, kinds: Sequence[type[Savable]], folder: Path) -> Any:
    """The class of that name, if the registry or `kinds` holds it; runs nothing else."""
    name = format_1.CLASSES.get(name, name)
    named = next((k for k in kinds if name in (_name(k), format_1.path(k))), None)
    if named is not None:
        return named
    key, _, cls = name.rpartition("/")
    module = _modules().get(key)
    found = None if module is None else getattr(import_module(module), cls, None)
    if not isinstance(found, type) or found.__module__ != module or not issubclass(found, Savable):
        raise ValueError(
            f"{folder} holds a {name}, which is in no module of POLICIES. If you know that class, "
            f"load with kinds=({cls.rpartition('.')[2]},)."
        )
    return found


def _keep(saved: Saved, folder: Path, depth: int, serving: Serving) -> str | None:
    """Write the encoder, if there is one; its hash."""
    if saved.encoder is None:
        return None
    items = checkpoint.Catalogue(catalogue_hash(serving), serving.n_items)
    return checkpoint.save(saved.encoder, folder / _encoder(depth), catalogue=items)


def _kept(sha256: str | None, folder: Path) -> Encoder | None:
    """The encoder of that hash, if there is one."""
    if sha256 is None:
        return None
    encoder = checkpoint.load(folder)
    if checkpoint.digest(encoder.to_arrays()) != sha256:
        raise ValueError(f"{folder} is not the encoder that the policy was saved with")
    return encoder


def _encoder(depth: int) -> str:
    return checkpoint.ENCODER if depth == 0 else f"{checkpoint.ENCODER}-{depth}"


def _check_same_world(kept: Serving, asked: Serving, folder: Path) -> None:
    """Raise unless the policy was built for these items and observations."""
    check_same_world(kept, asked, str(folder))
    if catalogue_hash(kept) != catalogue_hash(asked):
        raise ValueError(
            f"{folder} was built for another world: the same number of items with other features. "
            "Load it with the environment it was trained in, or train a policy in this one."
        )


def _from_zip(file: Path, trust: bool) -> Policy:
    if not file.exists():
        raise FileNotFoundError(f"{file} is not there: write it with an agent's model.save(...)")
    if not trust:
        raise ValueError(
            f"{file} is a Stable-Baselines3 zip: it holds pickled code that runs when it is read. "
            "If you made it yourself, load it with trust=True; policies.save needs no trust."
        )
    from policies.rl.sb3.builders import from_zip

    return from_zip(file)
