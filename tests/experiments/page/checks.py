"""What every page must hold."""

from __future__ import annotations

import re
from html.parser import HTMLParser

ALONE = {"meta", "img", "source", "br", "line", "circle", "rect", "polygon", "polyline"}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        if (tag == "img" and not known.get("alt")) or (
            tag == "svg" and not known.get("aria-label")
        ):
            self.wrong.append(f"{tag} without a text at {self.getpos()}")
        if tag not in ALONE:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ALONE:
            self.wrong.append(f"<{tag}/> at {self.getpos()}")

    def handle_endtag(self, tag: str) -> None:
        if tag in ALONE and (not self.open or self.open[-1] != tag):
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> at {self.getpos()}")


def faults(text: str) -> list[str]:
    """What is wrong with a page: tags that do not pair, pictures without a text, files from
    elsewhere, numbers that are none."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    wrong = [*reader.wrong, *(f"<{tag}> stays open" for tag in reader.open)]
    wrong += re.findall(r"(?:src|href)=\"(?!data:)[^\"]*", text)
    return wrong + re.findall(r"\b(?:x|y|x1|y1|x2|y2|cx|cy|points|width)=\"[^\"]*nan[^\"]*\"", text)


def rows_of(text: str, first: str) -> list[list[str]]:
    """Cells, as text, of the first table whose first column is called so."""
    for table in re.findall(r"<table>.*?</table>", text, flags=re.S):
        head = [_plain(x) for x in re.findall(r"<th>(.*?)</th>", table)]
        if head and head[0] == first:
            body = re.findall(r"<tr[^>]*>(<td.*?)</tr>", table, flags=re.S)
            cells = [re.findall(r"<td[^>]*>(.*?)</td>", row, flags=re.S) for row in body]
            return [head, *([_plain(x) for x in row] for row in cells)]
    raise AssertionError(f"no table begins with {first}")


def words_of(text: str) -> str:
    """A page without its tags."""
    return re.sub(r"<[^>]+>", "", text)


def _plain(html: str) -> str:
    return words_of(html).replace("&#8288;", "").strip()
