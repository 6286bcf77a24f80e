"""What a version's folder holds: files that never change, by their hashes, and what is known of it.

version.json lists the files and is written with them; evidence.json (note, log, verdicts, memory)
and gate.json may be replaced. The version is named by the hash of what decides its answers.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from json import JSONDecodeError
from pathlib import Path
from typing import Any

import numpy as np

from offpolicy.storage.sealed import sealed, unsealed
from policies.observation import Serving
from policies.saving.checkpoint import CONFIG, ENCODER, WEIGHTS

SCHEMA = 1
SHORT, LONGER, HEX = 12, 4, 64  # digits of a name, more where two versions would share it
CONTENTS, EVIDENCE, GATE = "version.json", "evidence.json", "gate.json"
POLICY, ITEMS = "policy", "items.json"
OF = "of"  # key of the version in its evidence
GOLDEN, VECTORS = "golden.safetensors", "retrieval.safetensors"
FIX = "add the policy again, which mends it, or promote another version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The files of a version, and what they are."""

    sha256: str  # of the policy, the catalogue and the retrieval
    policy: str  # classes, the outermost first
    serving: Mapping[str, Any]  # the sizes it is built for
    retrieval: Mapping[str, Any] | None
    files: Mapping[str, Mapping[str, Any]]  # path in the folder -> bytes, sha256
    schema: int = SCHEMA

    @property
    def bytes(self) -> int:
        """On disk."""
        return sum(int(one["bytes"]) for one in self.files.values())

    @property
    def sizes(self) -> Serving:
        """What it serves, without the items' features."""
        names = tuple(self.serving["response_names"])
        none = np.zeros((int(self.serving["n_items"]), 0), np.float32)
        return Serving(**{**self.serving, "response_names": names}, item_features=none)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCut:
    """The log that a policy learned from."""

    name: str
    rows: int
    sessions: int
    hash: str  # LoggedDataset.hash()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a version, and does not change what it answers."""

    added: float  # s since 1970
    by: str
    note: str | None = None
    log: LogCut | None = None
    verdicts: Mapping[str, str] | None = None  # of the gate, by candidate
    load_bytes: int | None = None  # growth of the resident memory's peak while it was loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version of a registry."""

    version: str
    folder: Path
    contents: Contents
    evidence: Evidence

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "version": self.version,
            "bytes": self.contents.bytes,
            **asdict(self.contents),
            **asdict(self.evidence),
        }


def read_version(folder: Path) -> Version:
    """Raises ValueError, which names the file, for what is no version or damaged."""
    about = _json(folder / CONTENTS, Contents)
    if about.get("schema") != SCHEMA:
        raise ValueError(
            f"{folder / CONTENTS} has schema {about.get('schema')!r}; this version of Longplay "
            f"reads {SCHEMA}"
        )
    known = _json(folder / EVIDENCE, Evidence)
    log, of = known.pop("log", None), known.pop(OF, about.get("sha256"))
    if not str(about.get("sha256")).startswith(folder.name) or of != about.get("sha256"):
        which = CONTENTS if of == about.get("sha256") else EVIDENCE
        raise ValueError(f"{folder / which} is of another version: {FIX}")
    try:
        evidence = Evidence(**known, log=None if log is None else LogCut(**log))
        return Version(
            version=folder.name, folder=folder, contents=Contents(**about), evidence=evidence
        )
    except TypeError as error:
        raise ValueError(f"{folder} is damaged ({error}): {FIX}") from None


def verify(version: Version) -> None:
    """Raise ValueError, which names the file, unless all files are what they were when they were
    added."""
    for name, known in version.contents.files.items():
        path = version.folder / name
        if not path.is_file():
            raise ValueError(f"{path} is missing: {FIX}")
        if path.stat().st_size != known["bytes"]:
            size = path.stat().st_size
            raise ValueError(f"{path} has {size:,} bytes instead of {known['bytes']:,}: {FIX}")
        if file_hash(path) != known["sha256"]:
            raise ValueError(f"{path} is not the file that was added (other sha256): {FIX}")


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


def policy_files(folder: Path) -> list[Path]:
    """The files that a saved policy consists of, by path in its folder.

    Raises ValueError or FileNotFoundError for what is no folder that `policies.save` wrote.
    """
    if folder.suffix == ".zip" and not folder.is_dir():
        raise ValueError(
            f"{folder} is a Stable-Baselines3 zip, which runs code when it is read: load it with "
            "policies.load(file, trust=True) if you made it, and write it with policies.save"
        )
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"{folder} is no saved policy: {' and '.join(missing)} missing. Write one with "
            "policies.save(policy, folder), or longplay train-policy"
        )
    encoders = sorted(one for one in folder.glob(f"{ENCODER}*") if one.is_dir())
    return [
        (one / name).relative_to(folder)
        for one in (folder, *encoders)
        for name in (CONFIG, WEIGHTS)
        if (one / name).is_file()
    ]


def files_of(folder: Path, names: list[Path]) -> dict[str, dict[str, Any]]:
    """Size and hash of files in a folder."""
    return {
        name.as_posix(): {
            "bytes": (folder / name).stat().st_size,
            "sha256": file_hash(folder / name),
        }
        for name in names
    }


def copy_files(source: Path, to: Path, names: list[Path]) -> None:
    """The same files in another folder."""
    for name in names:
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, to / name)


def content_hash(
    policy: Mapping[str, Mapping[str, Any]], names: tuple[str, ...], retrieval: Any, vectors: str
) -> str:
    """sha256 of what decides the answers: hashes of the policy's files, the items' names, the
    retrieval and the hash of its own vectors."""
    files = {name: one["sha256"] for name, one in policy.items()}
    said = json.dumps([SCHEMA, files, names, retrieval, vectors], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def file_hash(path: Path) -> str:
    """sha256 of a file, in constant memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def policy_name(folder: Path) -> str:
    """The classes of a saved policy, the outermost first."""
    nodes = json.loads((folder / CONFIG).read_bytes())["policy"]
    return " > ".join(str(node["kind"]).rpartition("/")[2].rpartition(".")[2] for node in nodes)


def verdicts_of(report: Path) -> dict[str, str]:
    """Verdict of each candidate in a gate's JSON record. Raises ValueError for another file."""
    try:
        return {
            str(one["name"]): str(one["verdict"]["outcome"])
            for one in json.loads(report.read_bytes())["candidates"]
        }
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            f"{report} is no gate report: write one with longplay gate LOG ... --out {report}"
        ) from None


def with_evidence(old: Evidence, new: Evidence) -> Evidence:
    """What is known after the same content was added again: what was given now, else the old."""
    given = {k: v for k in ("note", "log", "verdicts") if (v := getattr(new, k)) is not None}
    return replace(old, **given)


def to_json(said: Contents | Evidence, of: str) -> str:
    """A file's content, with a digest and with the sha256 of the version that it is of."""
    beside = {} if isinstance(said, Contents) else {OF: of}
    return json.dumps(sealed(asdict(said) | beside), indent=1) + "\n"


def _json(path: Path, kind: type[Contents | Evidence]) -> dict[str, Any]:
    keys = [*(field.name for field in fields(kind)), OF]
    try:
        return unsealed(json.loads(path.read_bytes()), path, keys, fix=FIX)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing: {FIX}") from None
    except (JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({error}): {FIX}") from None
