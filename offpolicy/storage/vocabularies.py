"""Vocabularies on disk: a list in JSON, or text with one name a line."""

from __future__ import annotations

import json
import os
from pathlib import Path

from offpolicy.errors import LogError
from offpolicy.storage.atomic import write_text
from offpolicy.vocabulary import Vocabulary, texts


def save_vocabulary(vocabulary: Vocabulary, file: str | os.PathLike[str]) -> None:
    """Write the names: a list in JSON, or one a line where the file ends in .txt.

    Raises:
        LogError: a name holds the end of a line, and the file ends in .txt.
    """
    path, names = Path(file), vocabulary.names
    if path.suffix != ".txt":
        write_text(path, json.dumps(names, indent=0, ensure_ascii=False) + "\n")
        return
    broken = [name for name in names if "\n" in name]
    if broken:
        raise LogError(f"{broken[0]!r} holds the end of a line: save the names as .json.")
    write_text(path, "".join(f"{name}\n" for name in names))


def load_vocabulary(file: str | os.PathLike[str], kind: str = "items") -> Vocabulary:
    """What `save_vocabulary` wrote, or any such list.

    Raises:
        FileNotFoundError: there is no such file.
        LogError: it holds no list of names.
    """
    path = Path(file)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; name a file of the names of {kind}")
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".json":
            return Vocabulary(texts(json.loads(text), str(path)), kind)
    except ValueError as error:
        raise LogError(f"{path} cannot be read: {error}.") from error
    lines = text.split("\n")
    return Vocabulary(tuple(lines if lines[-1] else lines[:-1]), kind)
