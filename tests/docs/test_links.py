"""Links of the site lead somewhere, and every page has its place in the navigation."""

from __future__ import annotations

import posixpath
import re
from typing import Any

import pytest
import yaml

from tests.docs.pages import DOCS, LINK, ROOT, anchors, made, prose, written


def pages() -> dict[str, str]:
    return written() | made()


def test_every_link_leads_to_a_page_a_file_or_a_heading() -> None:
    from pages.results import result_pictures

    known, pictures, broken = pages(), result_pictures(), []
    for page, text in known.items():
        for link in LINK.findall(prose(text)):
            file, _, anchor = link.partition("#")
            if "://" in link:
                continue
            there = posixpath.normpath(posixpath.join(posixpath.dirname(page), file))
            there = there if file else page
            if there not in known:
                if there not in pictures and not (DOCS / there).is_file():
                    broken.append(f"{page}: {link}")
            elif anchor and anchor not in anchors(known[there]):
                broken.append(f"{page}: no heading {link}")
    assert not broken


def test_the_navigation_names_every_page_once() -> None:
    from pages.site import filled

    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    named = list(leaves(filled(config["nav"], made())))
    assert sorted(named) == sorted(pages())


def leaves(nav: Any) -> Any:
    for entry in nav if isinstance(nav, list) else [*nav.values()]:
        if isinstance(entry, str):
            yield entry
        else:
            yield from leaves(entry)


@pytest.mark.parametrize("page", sorted(p for p in written() if p not in ("glossary.md",)))
def test_a_page_has_one_title_and_says_who_needs_it(page: str) -> None:
    text = prose(written()[page])
    titles = [line for line in text.splitlines() if line.startswith("# ")]
    assert len(titles) == 1
    if not page.startswith("operations/"):
        start = text.split("\n## ")[0]
        assert "You need this page" in start
        assert "Afterwards" in start


def test_a_file_that_a_page_includes_is_an_example_that_is_run() -> None:
    for page, text in written().items():
        for file in re.findall(r'^--8<-- "([^"]+)"$', text, flags=re.MULTILINE):
            assert (ROOT / file).parent == DOCS / "examples", page  # see tests/test_examples.py
            assert (ROOT / file).suffix == ".py", page
