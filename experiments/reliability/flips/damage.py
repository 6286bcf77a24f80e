"""One damage to one file of a saved folder, the same for the same seed."""

from __future__ import annotations

import shutil
from itertools import combinations
from pathlib import Path

import numpy as np

FLIPPED, CUT, ZEROED, SWAPPED, DELETED = "bit flips", "cut short", "zeroed", "swapped", "deleted"
COLUMNS = (FLIPPED, CUT, ZEROED, SWAPPED, DELETED)
OF_ANOTHER, GONE = " of another folder", " deleted"
BLOCK = 64  # bytes that are zeroed at most


def cases(column: str, folder: Path, other: Path, flips: int) -> int:
    """How many damages of a column there are to try: flips, a twentieth of cuts and zeroed blocks,
    and every file that can be deleted or exchanged."""
    if column == FLIPPED:
        return flips
    if column in (CUT, ZEROED):
        return -(-flips // 20)
    return len(files(folder)) if column == DELETED else len(_swaps(folder, other))


def damage(
    column: str, nth: int, folder: Path, other: Path, to: Path, rng: np.random.Generator
) -> str:
    """A damaged copy of `folder` at `to`; what was done. `other` is another folder of its kind."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(folder, to)
    if column == DELETED:
        name = files(folder)[nth]
        (to / name).unlink()
        return f"{name}{GONE}"
    if column == SWAPPED:
        first, second = _swaps(folder, other)[nth]
        if second is None:
            shutil.copyfile(other / first, to / first)
            return f"{first}{OF_ANOTHER}"
        shutil.copyfile(folder / first, to / second)
        shutil.copyfile(folder / second, to / first)
        return f"{first} and {second} exchanged"
    names = [name for name in files(folder) if (folder / name).stat().st_size]
    name = names[int(rng.integers(len(names)))]
    content = bytearray((folder / name).read_bytes())
    at = int(rng.integers(len(content)))
    if column == FLIPPED:
        bit = int(rng.integers(8))
        content[at] ^= 1 << bit
        said = f"bit {bit} of byte {at}"
    elif column == CUT:
        del content[at:]
        said = f"cut after {at} bytes"
    else:
        end = min(len(content), at + 1 + int(rng.integers(BLOCK)))
        content[at:end] = bytes(end - at)
        said = f"bytes {at} to {end} zeroed"
    (to / name).write_bytes(content)
    return f"{name}: {said}"


def files(folder: Path) -> list[str]:
    """Files with content, by name; locks have none."""
    every = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return sorted(path.relative_to(folder).as_posix() for path in every)


def _swaps(folder: Path, other: Path) -> list[tuple[str, str | None]]:
    """Pairs of files to exchange, and files to take from the other folder (None), that differ."""
    names = files(folder)
    pairs: list[tuple[str, str | None]] = [
        (a, b)
        for a, b in combinations(names, 2)
        if (folder / a).read_bytes() != (folder / b).read_bytes()
    ]
    return pairs + [
        (name, None)
        for name in names
        if (other / name).is_file() and (other / name).read_bytes() != (folder / name).read_bytes()
    ]
