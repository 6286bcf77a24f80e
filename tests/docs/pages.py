"""The pages of the site, read without mkdocs: Markdown by path, their links, anchors and blocks."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
FENCE = re.compile(
    r"(?:<!-- not run: (?P<why>[^>]+) -->\n+)?"
    r"^```(?P<kind>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")

if str(DOCS) not in sys.path:
    sys.path.append(str(DOCS))  # as mkdocs does for its hook


@cache
def written() -> dict[str, str]:
    """Pages that stand in docs/."""
    files = sorted(DOCS.rglob("*.md"))
    return {p.relative_to(DOCS).as_posix(): p.read_text(encoding="utf-8") for p in files}


@cache
def made() -> dict[str, str]:
    """Pages that are made when the site is built."""
    from pages.site import made_pages

    return made_pages()


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    kind: str  # python, sh, csv, yaml, text ...
    title: str | None  # the file that it is
    text: str
    why_not: str | None  # why it is not run
    line: int


def blocks(page: str, text: str) -> Iterator[Block]:
    """The blocks of a page in their order."""
    for found in FENCE.finditer(text):
        line = text[: found.start("kind")].count("\n") + 1
        yield Block(page, found["kind"], found["title"], found["text"], found["why"], line)


def prose(text: str) -> str:
    """A page without its code."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^ *```.*?^ *```$", "", text, flags=re.M | re.S))


def anchors(text: str) -> set[str]:
    """Anchors of the headings, and of the names that mkdocstrings explains."""
    found = set(re.findall(r"^::: (\S+)$", text, flags=re.MULTILINE))
    found |= set(re.findall(r'<a id="([^"]+)">', text))
    seen: dict[str, int] = {}
    for heading in re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), re.M
    ):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())
        seen[slug] = seen.get(slug, -1) + 1
        found.add(slug if not seen[slug] else f"{slug}_{seen[slug]}")
    return found
