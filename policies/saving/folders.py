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
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from offpolicy.storage.claims import standing
from offpolicy.storage.sealed import sealed
from offpolicy.vocabulary import Vocabulary
from policies.adapters.trust import HOW, told, trusting
from policies.base import Policy
from policies.encoders.base import Encoder
from policies.observation import Serving, check_same_world, sizes
from policies.saved import Arrays, Savable, Saved, under
from policies.saving import checkpoint, format_1
from policies.saving.classes import class_name, class_named

FORMAT, UNSEALED = checkpoint.POLICY_FORMAT, checkpoint.POLICY_UNSEALED


def save(policy: Policy, folder: str | os.PathLike[str]) -> str:
    """Write a policy whole or not at all, and return its hash; an earlier save is replaced.

    Raises:
        FileExistsError: something else stands there; it is left as it is.
        ValueError: a class that is not `Savable`; names it.
    """
    from safetensors.numpy import save_file

    nodes = _nodes(policy)
    serving = policy.serving
    arrays: Arrays = {"items": serving.item_features}
    if serving.item_names is not None:
        arrays[checkpoint.NAMES] = Vocabulary(serving.item_names).to_bytes()
    for at, node in enumerate(nodes):
        arrays |= {f"{at}.{name}": value for name, value in node.saved.arrays.items()}
    arrays = {name: np.asarray(value, order="C") for name, value in arrays.items()}
    with checkpoint.whole_folder(folder, "policy") as fresh:
        save_file(arrays, fresh / checkpoint.WEIGHTS)
        encoders: dict[str, dict[str, Any]] = {}  # each is written once
        described = [
            {
                "kind": node.kind,
                "config": node.saved.config,
                "inner": node.inner,
                "parts": node.parts,
                **_save_encoder(node.saved.encoder, fresh, at, serving, encoders),
            }
            for at, node in enumerate(nodes)
        ]
        about = {
            "format": FORMAT,
            "policy": described,
            "serving": sizes(serving),
            "catalogue": catalogue_hash(serving),
        }
        about = sealed(about) | {"sha256": checkpoint.digest(arrays)}
        text = json.dumps(about, indent=2, allow_nan=False) + "\n"
        (fresh / checkpoint.CONFIG).write_text(text)
    return hashlib.sha256(text.encode()).hexdigest()


def load(
    folder: str | os.PathLike[str],
    *,
    serving: Serving | None = None,
    kinds: Sequence[type[Savable]] = (),
    trust: bool = False,
) -> Policy:
    """The policy that was saved: equal probabilities for equal observations.

    serving: raise for a policy of another catalogue, slate size or observation than these.
    kinds: classes of your own that are in no module of POLICIES.
    trust: needed for what holds pickles, which can run any code when they are read: a
        Stable-Baselines3 .zip, and folders of stock agents and scikit-learn models. A zip of a
        stock PPO needs `serving`, too. `--trust` of a command stands for it.

    Raises:
        FileNotFoundError: no policy there.
        ValueError: an altered file, an unknown class or format, another catalogue, a zip untrusted.
    """
    folder = Path(folder)
    if folder.suffix == ".zip" and not folder.is_dir():
        return _from_zip(folder, trust, serving)
    with trusting(trust):
        return checkpoint.settled(folder, lambda: _loaded(standing(folder), serving, kinds))


def _loaded(folder: Path, serving: Serving | None, kinds: Sequence[type[Savable]]) -> Policy:
    """The policy of a folder."""
    about, arrays = checkpoint.read_folder(folder, (*UNSEALED, FORMAT), "policies.save")
    if "policy" not in about:
        raise ValueError(f"{folder} holds an encoder: load it with policies.checkpoint.load")
    of = checkpoint.rebuilt(folder, "policy", lambda: _classes(folder, about, kinds))
    checkpoint.check_unaltered(about, folder, UNSEALED)
    saved_for = checkpoint.rebuilt(folder, "sizes", lambda: _serving(about["serving"], arrays))
    if serving is not None:
        _check_same_world(saved_for, serving, folder)
    return checkpoint.rebuilt(folder, "policy", lambda: _made(folder, about, arrays, saved_for, of))


def _serving(sizes: dict[str, Any], arrays: Arrays) -> Serving:
    responses = tuple(sizes["response_names"])
    return Serving(
        **sizes | {"response_names": responses},
        item_features=arrays["items"],
        item_names=_names(arrays),
    )


def _classes(folder: Path, about: dict[str, Any], kinds: Sequence[type[Savable]]) -> list[Any]:
    """The class of each node, in their order. Raises ValueError for one that is not known, or where
    a node stands around what does not come after it."""
    nodes = about["policy"]
    for at, node in enumerate(nodes):
        if about["format"] in (1, 2):
            after = at + 1 if at + 1 < len(nodes) else None
            node |= {"inner": after, "parts": [], "encoder_at": at}
        within = [*node["parts"], *([] if node["inner"] is None else [node["inner"]])]
        if not set(within) <= {*range(at + 1, len(nodes))}:
            raise ValueError(f"{folder / checkpoint.CONFIG} was altered: part {at} holds {within}")
    return [class_named(node["kind"], kinds, folder) for node in nodes]


def _made(
    folder: Path,
    about: dict[str, Any],
    arrays: Arrays,
    saved_for: Serving,
    classes: Sequence[Any],
) -> Policy:
    """All classes of a policy, from the inside to the outside."""
    made: dict[int, Any] = {}
    encoders: dict[int, Encoder] = {}
    for at, node in reversed(list(enumerate(about["policy"]))):
        config, mine = node["config"], under(f"{at}.", arrays)
        if about["format"] == 1:
            kind = format_1.CLASSES.get(node["kind"], node["kind"])
            config, mine = format_1.current(kind, config, mine)
        saved = Saved(
            config=config,
            arrays=mine,
            encoder=_load_encoder(node, folder, encoders),
            inner=made.get(node["inner"]),
            parts=tuple(made[part] for part in node["parts"]),
        )
        made[at] = checkpoint.rebuilt(
            folder, classes[at].__name__, partial(classes[at].from_saved, saved, saved_for)
        )
    policy: Policy = made[0]
    return policy


def content_hash(policy: Savable) -> str:
    """sha256 of all that a policy is: equal for policies that would be saved alike.

    Raises ValueError for a class that is not `Savable`; names it.
    """
    whole = hashlib.sha256(catalogue_hash(policy.serving).encode())  # type: ignore[attr-defined]
    for node in _nodes(policy):
        what = [node.kind, node.saved.config, node.inner, node.parts]
        whole.update(json.dumps(what, sort_keys=True).encode())
        whole.update(checkpoint.digest(node.saved.arrays).encode())
        if node.saved.encoder is not None:
            whole.update(_encoder_hash(node.saved.encoder).encode())
    return whole.hexdigest()


def catalogue_hash(serving: Serving) -> str:
    """A short hash of the items' features in the order of their ids: what ids 0..A-1 stand for."""
    features = np.ascontiguousarray(serving.item_features, dtype=np.float32)
    return hashlib.sha256(repr(features.shape).encode() + features.tobytes()).hexdigest()[:16]


def _names(arrays: Arrays) -> tuple[str, ...] | None:
    """Of the items, where they were saved."""
    names = arrays.get(checkpoint.NAMES)
    return None if names is None else Vocabulary.from_bytes(names).names


class _Node(NamedTuple):
    """One class of a policy; what is inside of it, by number, comes after it."""

    kind: str
    saved: Saved
    inner: int | None
    parts: list[int]


def _nodes(policy: Any) -> list[_Node]:
    """The policy, all that is inside of it, and the policies that it stands between."""
    kind = type(policy)
    if not isinstance(policy, Savable):
        raise ValueError(
            f"{kind.__name__} cannot be saved: give it `saved()` and `from_saved(saved, "
            "serving)`, see policies.saved.Savable"
        )
    saved, below, heads = policy.saved(), list[_Node](), list[int]()
    for one in (*saved.parts, *([] if saved.inner is None else [saved.inner])):
        heads.append(1 + len(below))
        below += _moved(_nodes(one), heads[-1])
    inner = None if saved.inner is None else heads.pop()
    return [_Node(class_name(kind), saved, inner, heads), *below]


def _moved(nodes: list[_Node], by: int) -> list[_Node]:
    """The same nodes under higher numbers."""
    return [
        n._replace(inner=None if n.inner is None else n.inner + by, parts=[p + by for p in n.parts])
        for n in nodes
    ]


def _save_encoder(
    encoder: Encoder | None,
    folder: Path,
    at: int,
    serving: Serving,
    written: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    """Write the encoder, if there is one and it was not `written`; its hash and where it lies."""
    if encoder is None:
        return {"encoder": None, "encoder_at": at}
    items = checkpoint.Catalogue(catalogue_hash(serving), serving.n_items)
    content = _encoder_hash(encoder)
    if content not in written:
        sha256 = checkpoint.save(encoder, folder / _encoder_folder(at), catalogue=items)
        written[content] = {"encoder": sha256, "encoder_at": at}
    return written[content]


def _load_encoder(node: dict[str, Any], folder: Path, loaded: dict[int, Encoder]) -> Encoder | None:
    """The encoder of a node, if there is one, of the hash that it was saved with."""
    if node["encoder"] is None:
        return None
    at = node["encoder_at"]
    if at not in loaded:
        loaded[at] = checkpoint.load(folder / _encoder_folder(at))
    if checkpoint.digest(loaded[at].to_arrays()) != node["encoder"]:
        raise ValueError(
            f"{folder / _encoder_folder(at)} is not the encoder that the policy was saved with"
        )
    return loaded[at]


def _encoder_hash(encoder: Encoder) -> str:
    """Of its kind, config and weights."""
    about = [encoder.name, repr(encoder.config), checkpoint.digest(encoder.to_arrays())]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()


def _encoder_folder(depth: int) -> str:
    return checkpoint.ENCODER if depth == 0 else f"{checkpoint.ENCODER}-{depth}"


def _check_same_world(saved_for: Serving, given: Serving, folder: Path) -> None:
    """Raise unless the policy was built for these items and observations."""
    check_same_world(saved_for, given, str(folder))
    if catalogue_hash(saved_for) != catalogue_hash(given):
        raise ValueError(
            f"{folder} was built for another world: the same number of items with other features. "
            "Load it with the environment it was trained in, or train a policy in this one."
        )


def _from_zip(file: Path, trust: bool, serving: Serving | None) -> Policy:
    if not file.exists():
        raise FileNotFoundError(f"{file} is not there: write it with an agent's model.save(...)")
    if not (trust or told()):
        raise ValueError(
            f"{file} is a Stable-Baselines3 zip: it holds pickled code that runs when it is read. "
            f"If you made it yourself, {HOW}; policies.save needs no trust."
        )
    from policies.adapters.sb3 import from_sb3
    from policies.rl.sb3.builders import from_zip, is_longplay

    if serving is not None and not is_longplay(file):
        return from_sb3(file, serving, trust=True)
    return from_zip(file)
