"""Links of a page that stands elsewhere in the repository than on the site."""

from __future__ import annotations

import re
from os.path import normpath, relpath
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
MOVED = {  # file of the repository -> page of the site
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "README.md": "index.md",
    "experiments/results/README.md": "results/index.md",
}
RESULTS = "experiments/results/"


def site_path(file: str) -> str | None:
    """Where a file of the repository stands on the site; None: it is not on it."""
    if file in MOVED:
        return MOVED[file]
    if file.startswith(RESULTS):
        return "results/" + file.removeprefix(RESULTS)
    inside = file.startswith("docs/") and (ROOT / file).is_file()
    return file.removeprefix("docs/") if inside else None


def moved(text: str, source: str) -> str:
    """The text of `source`, a file of the repository, with links as they are on the site; what the
    site does not have is named and not linked."""
    page = site_path(source)
    assert page is not None, source

    def link(found: re.Match[str]) -> str:
        image, said, target = found.groups()
        file, hashed, anchor = target.partition("#")
        if not file or "://" in file:
            return found[0]
        there = site_path(normpath(str(PurePosixPath(source).parent / file)))
        if there is None:
            return said
        near = relpath(there, str(PurePosixPath(page).parent))
        return f"{image}[{said}]({near}{hashed}{anchor})"

    return LINK.sub(link, text)


def moved_page(source: str) -> str:
    """A file of the repository as a page of the site."""
    return moved((ROOT / source).read_text(encoding="utf-8"), source)
