"""A file of settings: YAML or JSON, of one's own or of a run folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from experiments.common.run_folder import HOW, SETTINGS, recorded
from experiments.options.close import did_you_mean


def read_yaml(file: Path) -> dict[str, Any]:
    """A mapping of a YAML file (JSON is YAML).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not YAML, or holds no mapping.
    """
    if not file.is_file():
        raise FileNotFoundError(f"there is no file of settings {file}")
    try:
        read = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is not YAML: {' '.join(str(error).split())}") from None
    if read is None:
        return {}
    if not isinstance(read, dict):
        raise ValueError(f"{file} holds no settings: write `key: value`, one a line")
    return {str(key): value for key, value in read.items()}


def check_keys(file: Path, read: dict[str, Any], keys: Sequence[str], what: str, form: str) -> None:
    """Raise ValueError for a key that such a file has not; it shows the form of one."""
    for key in read:
        if key not in keys:
            near = did_you_mean(key, keys)
            raise ValueError(f"{file}: there is no {key!r} in {what}{near}; write\n{form}")


def settings_in(file: Path, command: str) -> dict[str, Any]:
    """Settings of a command by name, from a file or from a run folder; of a run folder those that
    say what is run, and not how it was (--workers, --out and the like).

    Raises ValueError for a file that another command made.
    """
    if file.is_dir():
        file = file / SETTINGS
    read = read_yaml(file)
    if not {"command", "settings"} <= read.keys():
        return read
    check_command(file, str(read["command"]), command)
    if not isinstance(read["settings"], dict):
        raise ValueError(f"{file} names no settings")
    return {k: v for k, v in read["settings"].items() if k not in HOW}


def settings_of_run(folder: Path, command: str) -> dict[str, Any]:
    """All settings of a run folder that is gone on with.

    Raises FileNotFoundError for no run folder, ValueError for that of another command.
    """
    record = recorded(folder)
    check_command(folder, str(record.get("command", "")), command)
    return {k: v for k, v in record["settings"].items() if k != "resume"}


def check_command(file: Path, made_by: str, command: str) -> None:
    """Raise ValueError unless the command made it; `benchmark x` is also called x."""
    if made_by not in (command, command.removeprefix("benchmark ")):
        raise ValueError(f"{file} was made by `longplay {made_by}`, not by `longplay {command}`")
