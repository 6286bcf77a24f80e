"""A fitted world's files: arrays.npz holds all of it, config.json a copy of its settings to read.

Both are written aside and renamed, the arrays first. Where a writer was killed between both, the
settings in arrays.npz count, and the copy that was to follow still stands beside. No pickle.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

if sys.platform != "win32":
    import fcntl

CONFIG, ARRAYS = "config.json", "arrays.npz"
KEYS = ("model", "serving", "n_topics", "names", "config")
SETTINGS = "settings"  # in arrays.npz: config.json as bytes
DENSEST, ROOM = 64, 2**24  # bytes in memory of one in the file, at most, and what is always free
AGAIN = "calibrate the world again"


def write_files(folder: Path, said: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write both; a world that stands there is replaced, and what killed writers left is removed.
    Of two writers one waits for the other.

    Raises FileExistsError where config.json is no world's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _check_ours(folder)
    about = dict(said) | {"arrays": _hash(arrays)}
    text = json.dumps(about | {"digest": _digest(about)}, indent=2).encode()
    kept = io.BytesIO()
    settings = np.frombuffer(text, np.uint8)
    all_of_it: dict[str, Any] = dict(arrays) | {SETTINGS: settings}
    np.savez_compressed(kept, **all_of_it)  # numpy 2.0 takes no allow_pickle
    if sum(array.nbytes + 256 for array in all_of_it.values()) > most_bytes(kept.tell()):
        kept = io.BytesIO()  # nearly nothing but zeros: as large in the file as in memory
        np.savez(kept, **all_of_it)
    with _alone(folder):
        left = _aside(folder)
        fresh = {
            name: folder / f".{name}.world-{secrets.token_hex(6)}" for name in (CONFIG, ARRAYS)
        }
        try:
            fresh[CONFIG].write_bytes(text)
            fresh[ARRAYS].write_bytes(kept.getvalue())
            fresh[ARRAYS].replace(folder / ARRAYS)
            fresh[CONFIG].replace(folder / CONFIG)
        finally:
            for one in (*fresh.values(), *left):
                one.unlink(missing_ok=True)


def read_files(folder: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What `write_files` was given; files of an older version, which carry no hashes, as well.

    Raises:
        FileNotFoundError: names the missing file.
        ValueError: names the file that was altered or damaged, or that is of another world.
    """
    while True:
        copy = _content(folder / CONFIG)
        said = _settings(copy, folder / CONFIG)
        arrays = _arrays(folder / ARRAYS)
        inside = arrays.pop(SETTINGS, None)
        if inside is None:
            if "arrays" in said:
                raise ValueError(f"{folder / ARRAYS} is of another world than {CONFIG}: {AGAIN}")
            return said, arrays
        text = inside.tobytes()
        if text != copy and not any(_content(one) == text for one in _aside(folder)):
            if _content(folder / CONFIG) != copy:
                continue  # another process replaced the world meanwhile
            raise ValueError(f"{folder / ARRAYS} is of another world than {CONFIG}: {AGAIN}")
        said = _settings(text, folder / ARRAYS)
        if said.pop("arrays") != _hash(arrays):
            raise ValueError(f"{folder / ARRAYS} was altered after it was written: {AGAIN}")
        return said, arrays


def _check_ours(folder: Path) -> None:
    """Raise FileExistsError where config.json is another program's."""
    file = folder / CONFIG
    if not file.exists():
        return
    try:
        ours = "model" in json.loads(file.read_bytes())
    except (OSError, ValueError, TypeError, RecursionError):
        ours = file.is_file() and (folder / ARRAYS).is_file()  # a damaged world
    if not ours:
        raise FileExistsError(
            f"{file} is no world's, and is left as it is: save to another folder, or move it away"
        )


def _aside(folder: Path) -> list[Path]:
    return [*folder.glob(".*.world-????????????")]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other process writes the world meanwhile, where the system has locks."""
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"{file} is missing: {AGAIN}") from None


def _settings(content: bytes, file: Path) -> dict[str, Any]:
    try:
        said = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} is damaged ({error}): {AGAIN}") from None
    if not isinstance(said, dict) or "model" not in said:
        raise ValueError(f"{file} was written by an older version, or is no world's: {AGAIN}")
    found = said.pop("digest", None)
    unknown = sorted(set(said) - {*KEYS, "arrays"})
    if unknown:
        raise ValueError(f"{file} is damaged (it has a key {unknown[0]!r}): {AGAIN}")
    if (found is not None or "arrays" in said) and found != _digest(said):
        raise ValueError(f"{file} was altered after it was written: {AGAIN}")
    return said


def _arrays(file: Path) -> dict[str, NDArray[Any]]:
    content = _content(file)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            declared = sum(one.file_size for one in archive.infolist())
            if declared > most_bytes(len(content)):
                raise ValueError(f"{len(content)} bytes say that they hold {declared}")
            parts = {one.filename: _array(archive, one) for one in archive.infolist()}
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, KeyError, ValueError,
            TypeError, SyntaxError, OverflowError) as error:  # fmt: skip
        raise ValueError(f"{file} is damaged ({error}): {AGAIN}") from None
    return {name.removesuffix(".npy"): array for name, array in parts.items()}


def most_bytes(size: int) -> int:
    """What a file of that size may ask for in memory."""
    return DENSEST * size + ROOM


def _array(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> NDArray[Any]:
    """One array. Its shape is held against what the file holds before memory is asked for."""
    with archive.open(part) as file:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(file)
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if dtype.hasobject or size != part.file_size - file.tell():
            raise ValueError(f"{part.filename} is no array of {shape} {dtype}")
        array = np.frombuffer(bytearray(file.read()), dtype)
    return array.reshape(shape, order="F" if fortran else "C")


def _hash(arrays: Mapping[str, NDArray[Any]]) -> str:
    whole = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        whole.update(f"{name}:{array.dtype.str}:{array.shape};".encode() + array.tobytes())
    return whole.hexdigest()


def _digest(said: Mapping[str, Any]) -> str:
    text = json.dumps(json.loads(json.dumps(said)), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
