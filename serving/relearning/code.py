"""Which code made a version: the package's version, and the git revision of a checkout."""

from __future__ import annotations

import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).resolve()


def code_version() -> str:
    """ "longplay 0.2.0", of a git checkout "longplay 0.2.0 (git 1a2b3c4d5e6f)", with "-dirty" where
    files of the checkout were changed since."""
    try:
        package = f"longplay {version('longplay')}"
    except PackageNotFoundError:
        package = "longplay, not installed"
    revision = _revision()
    return package if revision is None else f"{package} (git {revision})"


def _revision() -> str | None:
    """Of the checkout that holds this file; None where it is in none."""
    git = shutil.which("git")
    if git is None or _asked(git, "ls-files", "--error-unmatch", HERE.name) is None:
        return None  # installed somewhere inside of another project's checkout, or nowhere
    return _asked(git, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")


def _asked(git: str, *arguments: str) -> str | None:
    done = subprocess.run(
        [git, *arguments], cwd=HERE.parent, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else None
