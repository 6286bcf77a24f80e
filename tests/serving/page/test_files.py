"""The files of the page: what is sent, and that nothing of them needs another server."""

from __future__ import annotations

import re

import pytest

from serving.page.files import HEADERS, page_files
from serving.page.names import Names


def test_the_page_asks_for_nothing_but_its_own_files() -> None:
    """Every file that one of them names is there; no script, style or handler stands inline."""
    files = page_files()
    page = files["/"][0].decode()
    names = re.findall(r'(?:src|href)="(/[^"]*)"', page)
    scripts = b"".join(body for path, (body, _) in files.items() if path.endswith(".js")).decode()
    names += [f"/page/{name}" for name in re.findall(r'from "\./([^"]+)"', scripts)]
    assert {"/page/page.js", "/page/style.css", "/page/slate.js"} <= {*names}
    assert {*names} - {"/metrics", "/openapi.json"} <= files.keys()
    assert not re.search(r"<style|<script[^>]*>[^<]|\sstyle=|\son[a-z]+=|javascript:", page)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", scripts)
    for path, (body, _) in files.items():
        assert not re.search(rb"https?://(?!www\.w3\.org)", body), path


def test_files_have_their_types() -> None:
    files = page_files()
    assert files["/"][1].startswith("text/html")
    assert files["/page/page.js"][1].startswith("text/javascript")
    assert files["/page/style.css"][1].startswith("text/css")
    assert files["/page/icon.svg"][1] == "image/svg+xml"
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
