"""The files of the page: what is sent, and that nothing of them needs another server."""

from __future__ import annotations

import re

import pytest

from serving.page.files import HEADERS, page_files
from serving.page.names import Names

FILES = ("", "page.js", "api.js", "follow.js", "format.js", "served.js", "slate.js", "style.css",
         "icon.svg")  # fmt: skip
BOARD = ("board.js", "board.css", "debug.js", "executive.js", "table.js")
ALL = (*FILES, *BOARD)


def text_of(name: str) -> str:
    """A file of the page."""
    return page_files()[f"/page/{name}" if name else "/"][0].decode()


def test_the_page_asks_for_nothing_but_its_own_files() -> None:
    """Every file that one of them names is there; no script, style or handler stands inline."""
    page = text_of("")
    scripts = "".join(text_of(name) for name in ALL if name.endswith(".js"))
    page += page_files()["/board"][0].decode()
    named = re.findall(r'(?:src|href)="/page/([^"]*)"', page)
    named += re.findall(r'from "\./([^"]+)"', scripts)
    assert {*named} == {*ALL} - {""}
    others = re.findall(r'(?:src|href)="((?!/page/)[^"#]+)"', page)
    assert {*others} == {"/", "/board", "/metrics", "/openapi.json"}
    assert not re.search(r"<style|<script[^>]*>[^<]|\sstyle=|\son[a-z]+=|javascript:", page)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", scripts)
    for name in ALL:
        assert not re.search(r"https?://(?!www\.w3\.org)", text_of(name)), name


def test_there_is_no_other_file_and_each_has_its_type() -> None:
    kinds = {path: kind.partition(";")[0] for path, (_, kind) in page_files().items()}
    assert kinds.keys() == {f"/page/{name}" if name else "/" for name in ALL} | {"/board"}
    assert kinds["/"] == kinds["/board"] == "text/html"
    assert kinds["/page/page.js"] == "text/javascript"
    assert kinds["/page/style.css"] == "text/css"
    assert kinds["/page/icon.svg"] == "image/svg+xml"
    assert "default-src 'self'" in HEADERS["content-security-policy"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("b", ["Ball", "bat", "Bee"]),
        ("BA", ["Ball", "bat"]),
        ("bee", ["Bee"]),
        ("x", []),
        ("", ["ant", "Ball", "bat", "Bee"]),
    ],
)
def test_names_are_found_by_their_beginning(text: str, found: list[str]) -> None:
    assert Names(["bat", "Ball", "ant", "Bee"]).like(text) == found


def test_names_are_few_however_many_there_are() -> None:
    assert Names(f"item {i:05}" for i in range(5000)).like("item 0", most=3) == [
        "item 00000", "item 00001", "item 00002",
    ]  # fmt: skip
