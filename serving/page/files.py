"""The files of the page, with their types and the headers that keep everything else out."""

from __future__ import annotations

from functools import cache
from pathlib import Path

BOARD = "/board"
HERE = Path(__file__).parent
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
HEADERS = {  # nothing but what this server gives; no script or style in the page itself
    "content-security-policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "object-src 'none'"
    ),
    "cache-control": "no-cache",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
ICON = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect width="32" height="32" rx="8" fill="#0f5b57"/>
<path d="M8 22h16M8 16h11M8 10h6" stroke="#fff" stroke-width="3" stroke-linecap="round"/>
</svg>
"""


@cache
def page_files() -> dict[str, tuple[bytes, str]]:
    """Files and their media types by the path that they are served at: the page at `/`, the
    board at `/board`, the rest below `/page/`. They hold nothing of what is served; send them with
    HEADERS."""
    found = {
        f"/page/{path.name}": (path.read_bytes(), TYPES[path.suffix])
        for path in HERE.iterdir()
        if path.suffix in TYPES
    }
    pages = {"/": found.pop("/page/index.html"), BOARD: found.pop("/page/board.html")}
    return {**pages, "/page/icon.svg": (ICON, TYPES[".svg"]), **found}
