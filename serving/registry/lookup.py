"""Versions by name: the shortest that tell their hashes apart, and how a person writes them."""

from __future__ import annotations

from pathlib import Path

from serving.registry.pointer import Pointer
from serving.registry.versions import Version, read_version, verify

NAMED = ("live", "previous", "canary", "shadow")  # by the pointer
SHORT, LONGER, HEX = 12, 4, 64  # digits of a name, more where two versions would share it


def names_in(folder: Path) -> list[str]:
    """Versions in a folder of versions."""
    return sorted(one.name for one in folder.iterdir() if one.name[0] != ".")


def read_versions(folder: Path) -> tuple[list[Version], dict[str, str]]:
    """Versions in a folder of versions, and what is wrong with those that cannot be read."""
    found, damaged = [], {}
    for name in names_in(folder):
        try:
            found.append(read_version(folder / name))
        except (ValueError, OSError) as error:
            damaged[name] = str(error)
    return found, damaged


def find_version(folder: Path, name: str) -> Version:
    """By name or the beginning of one. Raises ValueError where that is none, or several."""
    names = names_in(folder)
    found = [name] if name in names else [one for one in names if name and one.startswith(name)]
    if len(found) != 1:
        some = ", ".join((found or names)[:8]) or "none"
        what = "is the beginning of" if found else "is not there; there are"
        raise ValueError(f"version {name!r} {what} {some}")
    return read_version(folder / found[0])


def find_named(folder: Path, name: str, pointer: Pointer) -> Version:
    """By what the pointer calls it, else as `find_version` does."""
    if name not in NAMED:
        return find_version(folder, name)
    version = getattr(pointer, name)
    if version is None:
        what = "canary" if name == "canary" else "promote"
        fix = f"longplay release {what} VERSION --registry {folder.parent}"
        raise ValueError(f"{folder.parent} has no {name} version: {fix}")
    return read_version(folder / version)


def name_for(folder: Path, sha256: str) -> tuple[str, Version | None]:
    """The name of some content, and its version if it is there and whole."""
    for digits in range(SHORT, HEX, LONGER):
        name = sha256[:digits]
        if not (folder / name).exists():
            return name, None
        try:
            found = read_version(folder / name)
            if found.contents.sha256 != sha256:
                continue
            verify(found)
        except (ValueError, OSError):
            return name, None  # damaged, and replaced
        return name, found
    return sha256, None
