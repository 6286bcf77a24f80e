"""Encoders on disk: config.json beside weights.safetensors; loads to identical scores.

No pickle: a checkpoint can be read without running what is in it. The folder is written aside
and renamed, so that a killed process leaves no half checkpoint.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from offpolicy.storage.atomic import atomic_folder
from offpolicy.storage.claims import standing
from offpolicy.storage.sealed import sealed, unsealed
from offpolicy.vocabulary import Vocabulary
from policies.encoders import ENCODERS, Encoder

T = TypeVar("T")

FORMAT = 2  # of an encoder's folder. 1: without a digest of config.json
UNSEALED = (1,)  # formats without it
POLICY_FORMAT = 4  # of what `policies.save` writes. 3: without a digest of config.json; 2: a chain
# of classes, each inside of the one before; 1: by module paths
POLICY_UNSEALED = (1, 2, 3)
EITHER = tuple(sorted({*UNSEALED, FORMAT, *POLICY_UNSEALED, POLICY_FORMAT}))
CONFIG, WEIGHTS = "config.json", "weights.safetensors"
INSIDE = ("", "checkpoint", "best", "policy")  # where a run folder holds what it learnt
NAMES = "item_names"  # the array that holds them
ENCODER = "encoder"  # folder of a policy's encoder; encoder-1 for the policy inside ...
KEYS = ("format", "encoder", "config", "catalogue", "policy", "serving")  # that the digest covers
AGAIN = "delete the folder and save, or fit, again."


@dataclasses.dataclass(frozen=True, slots=True)
class Catalogue:
    """Which items the ids 0..A-1 stand for."""

    name: str
    n_items: int
    digest: str = ""  # of the item names in order; empty where they are not known

    @classmethod
    def of(cls, name: str, item_names: Sequence[object]) -> Catalogue:
        """A catalogue known by its items' names, in the order of their ids."""
        text = "\n".join(str(one) for one in item_names)
        return cls(name, len(item_names), hashlib.sha256(text.encode()).hexdigest()[:16])

    def validate(self, other: Catalogue, where: Path) -> None:
        """Raise unless `other`, which `where` was trained on, is this catalogue."""
        known = self.digest and other.digest and self.digest != other.digest
        if self.name != other.name or self.n_items != other.n_items or known:
            raise ValueError(
                f"{where} was trained on {other}, not on {self}: its item ids mean other items. "
                "Load it with the data it was trained on, or train an encoder on this data."
            )

    def __str__(self) -> str:
        items = f" [{self.digest}]" if self.digest else ""
        return f"catalogue {self.name!r} of {self.n_items} items{items}"


def save(
    encoder: Encoder,
    folder: str | os.PathLike[str],
    *,
    catalogue: Catalogue,
    items: Vocabulary | None = None,
) -> str:
    """Write a fitted encoder, and the names of its items, and return its hash. An existing
    checkpoint is replaced whole.

    Raises:
        FileExistsError: something else stands there; it is left as it is.
        ValueError: the encoder's catalogue has another size, or nothing was learnt.
    """
    from safetensors.numpy import save_file

    if encoder.n_items != catalogue.n_items:
        raise ValueError(f"the encoder knows {encoder.n_items} items, {catalogue} does not match")
    if items is not None and len(items) != catalogue.n_items:
        raise ValueError(f"there are {len(items)} names for the items of {catalogue}")
    arrays = {k: np.ascontiguousarray(v) for k, v in encoder.to_arrays().items()}
    if items is not None:
        arrays[NAMES] = items.to_bytes()
    about = {
        "format": FORMAT,
        "encoder": encoder.name,
        "config": dataclasses.asdict(encoder.config),
        "catalogue": dataclasses.asdict(catalogue),
    }
    about = sealed(about) | {"sha256": digest(arrays)}
    with whole_folder(folder, ENCODER) as aside:
        save_file(arrays, aside / WEIGHTS)
        (aside / CONFIG).write_text(json.dumps(about, indent=2) + "\n")
    return str(about["sha256"])


def load(folder: str | os.PathLike[str], *, catalogue: Catalogue | None = None) -> Encoder:
    """The encoder that was saved; with `catalogue`, only if it was trained on that one.

    Raises:
        FileNotFoundError: no checkpoint there.
        ValueError: a wrong catalogue, an unknown encoder or format, or weights that were altered.
    """
    folder = Path(folder)
    return settled(folder, lambda: _loaded(folder, catalogue))


def _loaded(folder: Path, catalogue: Catalogue | None) -> Encoder:
    about, arrays = read_folder(folder, (*UNSEALED, FORMAT), "policies.saving.checkpoint.save")
    name = str(about.get("encoder"))
    if name not in ENCODERS:
        names = ", ".join(sorted(ENCODERS))
        raise ValueError(f"{folder} holds an encoder {name!r}; there are {names}")
    check_unaltered(about, folder, UNSEALED)
    if catalogue is not None:
        trained_on = rebuilt(folder, "catalogue", lambda: Catalogue(**about["catalogue"]))
        catalogue.validate(trained_on, folder)
    arrays.pop(NAMES, None)
    kind = ENCODERS[name]
    cls = kind.load()
    made: Encoder = rebuilt(
        folder, cls.__name__, lambda: cls.from_arrays(kind.config(about["config"]), arrays)
    )
    return made


def item_names(folder: str | os.PathLike[str]) -> Vocabulary | None:
    """The names of the items of a saved encoder or policy, where they were known when it was saved.

    Raises:
        FileNotFoundError: nothing is saved there.
        ValueError: another format, or a file that was altered.
    """
    folder = Path(folder)
    _, arrays = read_folder(folder, EITHER, "policies.save")
    return Vocabulary.from_bytes(arrays[NAMES]) if NAMES in arrays else None


def saved_in(given: str | os.PathLike[str]) -> Path:
    """The folder that holds a model: the one that is given, or one inside of a run folder."""
    found = (Path(given) / name for name in INSIDE)
    return next((folder for folder in found if (folder / CONFIG).is_file()), Path(given))


def holds_policy(folder: Path) -> bool:
    """Whether a saved folder is a policy's, else an encoder's; its weights are not read.

    Raises:
        FileNotFoundError: nothing is saved there.
        ValueError: another format, or a file that is no JSON.
    """
    return "policy" in _about(standing(folder), EITHER, "policies.save")


def rebuilt(folder: Path, name: str, make: Callable[[], T]) -> T:
    """What `make` makes of a folder's content. Raises ValueError, whatever it trips over."""
    try:
        return make()
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError) as error:
        raise ValueError(
            f"{folder} was altered, or is of another version: its {name} cannot be made "
            f"({type(error).__name__}: {error})"
        ) from error


def digest(arrays: dict[str, NDArray[Any]]) -> str:
    """A hash of names, types, shapes and values; the same on every machine."""
    whole = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        whole.update(f"{name}:{array.dtype.str}:{array.shape};".encode())
        whole.update(array.tobytes())
    return whole.hexdigest()


@contextmanager
def whole_folder(folder: str | os.PathLike[str], kind: str) -> Iterator[Path]:
    """A folder to fill, which takes the place of `folder` at the end, or is gone after an error.

    Raises FileExistsError unless `folder` is absent, empty, or an earlier save of that kind.
    """
    folder = Path(folder).absolute()
    if os.path.lexists(folder) and not _replaceable(folder, kind):
        raise FileExistsError(
            f"{folder} is no saved {kind}, and is left as it is: only an empty folder, or one "
            f"of {CONFIG}, {WEIGHTS} and encoders that a save wrote, is replaced. Save to "
            "another path, or move it away first."
        )
    with atomic_folder(folder) as fresh:
        yield fresh


def _replaceable(folder: Path, kind: str) -> bool:
    """Whether it is a folder that is empty or that a save of that kind wrote."""
    return folder.is_dir() and (not any(folder.iterdir()) or _is_saved(folder, kind))


def _is_saved(folder: Path, kind: str) -> bool:
    """Whether a folder holds config and weights, perhaps encoders like that, and nothing else."""
    files = {one.name for one in folder.iterdir() if one.is_file()}
    others = [one for one in folder.iterdir() if not one.is_file()]
    if files != {CONFIG, WEIGHTS}:
        return False
    try:
        about = json.loads((folder / CONFIG).read_text())
    except ValueError:
        return False
    return {"format", kind} <= set(about) and all(
        re.fullmatch(rf"{ENCODER}(-\d+)?", one.name) and one.is_dir() and _is_saved(one, ENCODER)
        for one in others
    )


def read_folder(
    folder: Path, forms: tuple[int, ...], writer: str
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What config.json says, and the arrays that it was written with; `writer` makes such folders.
    `check_unaltered` looks at the rest of what it says.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: another format, or a file that was altered.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    folder = standing(folder)
    about = _about(folder, forms, writer)
    try:
        arrays: dict[str, NDArray[Any]] = load_file(folder / WEIGHTS)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{folder / WEIGHTS} cannot be read ({error}): {AGAIN}") from None
    if digest(arrays) != about.get("sha256"):
        raise ValueError(f"{folder / WEIGHTS} is not the file that {CONFIG} was written with")
    return about, arrays


def settled(folder: Path, read: Callable[[], T]) -> T:
    """What `read` makes of a folder; once more where a writer replaced the folder meanwhile."""
    while True:
        before = _content(folder)
        try:
            return read()
        except (ValueError, FileNotFoundError):
            if _content(folder) == before:
                raise


def _content(folder: Path) -> bytes | None:
    file = standing(folder) / CONFIG
    return file.read_bytes() if file.is_file() else None


def check_unaltered(about: dict[str, Any], folder: Path, unsealed_forms: tuple[int, ...]) -> None:
    """Raise ValueError unless config.json says what its writer did; formats without a digest pass.

    The weights' hash stands beside the digest: each is compared with what it is of.
    """
    if about["format"] not in unsealed_forms:
        said = {key: value for key, value in about.items() if key != "sha256"}
        unsealed(said, folder / CONFIG, KEYS, needed=True, fix=AGAIN)


def _about(folder: Path, forms: tuple[int, ...], writer: str) -> dict[str, Any]:
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"{folder} is not a checkpoint: {' and '.join(missing)} missing. "
            f"Write one with {writer}."
        )
    file = folder / CONFIG
    try:
        about = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} is not JSON ({error}): {AGAIN}") from None
    form = about.get("format") if isinstance(about, dict) else None
    if form not in forms:
        reads = " and ".join(map(str, forms))
        raise ValueError(f"{file} has format {form}, this reads {reads}")
    return dict(about)
