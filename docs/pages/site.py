"""All pages that are made when the site is built, and where they stand in the navigation."""

from __future__ import annotations

from typing import Any

from pages.commands import command_pages
from pages.reference import reference_pages
from pages.results import result_pages
from pages.worlds import world_pages


def made_pages() -> dict[str, str]:
    """Markdown by the path inside docs/."""
    return world_pages() | command_pages() | reference_pages() | result_pages()


def filled(nav: list[Any], made: dict[str, str]) -> list[Any]:
    """The navigation with `folder/*` replaced by the pages made in that folder, index first."""
    done: list[Any] = []
    for entry in nav:
        if isinstance(entry, dict):
            ((title, inside),) = entry.items()
            done.append({title: filled(inside, made) if isinstance(inside, list) else inside})
        elif entry.endswith("/*"):
            done += [path for path in made if path.startswith(entry[:-1])]
        else:
            done.append(entry)
    return done
