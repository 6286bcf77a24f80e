"""Pages of the records of experiments/results, and of the guides at the top of the repository."""

from __future__ import annotations

import re
from pathlib import Path

from pages.links import MOVED, RESULTS, ROOT, moved, site_path

FOLDER = ROOT / RESULTS
PICTURES = (".png", ".svg")


def title_of(name: str) -> str:
    """compare-ml-100k.md -> Compare ml 100k: what the navigation says of a record."""
    words = Path(name).stem
    return words[:1].upper() + words[1:].replace("-", " ")


def record(name: str) -> str:
    """A record, its command as the first sentence; the table of all of them links what it means."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    found = re.match(r"`(longplay [^`\n]*)`(.*)", text)
    titled = text.startswith("# ")
    if found:
        body = text[found.end() :]
        text = f"Made by `{found[1]}`{found[2] or '.'}{body}"
    head = "" if titled else f"# {title_of(name)}\n\n"
    return moved(f"{head}{text}", RESULTS + name)


def result_pages() -> dict[str, str]:
    """The records, the guide to adding things, and the changes, by the path inside docs/."""
    names = sorted(p.name for p in FOLDER.glob("*.md") if p.name != "README.md")
    pages = {f"results/{name}": record(name) for name in names}
    for source in MOVED:
        if source != "README.md":
            text = (ROOT / source).read_text(encoding="utf-8")
            pages[str(site_path(source))] = moved(text, source)
    return pages


def result_pictures() -> dict[str, Path]:
    """Pictures of the records, by the path inside docs/."""
    files = sorted(p for p in FOLDER.rglob("*") if p.suffix in PICTURES)
    return {f"results/{p.relative_to(FOLDER).as_posix()}": p for p in files}
