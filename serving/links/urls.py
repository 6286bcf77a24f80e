"""URLs of servers, and the name under which several services share one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

NAME = re.compile(r"[A-Za-z0-9_]{1,32}")
USUAL = "longplay"
REDIS = "redis://[[user]:password@]host[:port][/database][?name=NAME], rediss:// with TLS"
NATS = "nats://[[user]:password@]host[:port][?name=NAME], tls:// with TLS"
FORMS = {"redis": REDIS, "rediss": REDIS, "nats": NATS, "tls": NATS}


def server_of(url: str, schemes: Sequence[str]) -> tuple[str, str]:
    """The URL as a client takes it, and NAME: before all that is kept on the server, "longplay"
    where the URL names none.

    Raises ValueError, which says the form of the URL and shows no credentials.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        usable = False
    if not usable:
        forms = " or ".join(dict.fromkeys(FORMS[scheme] for scheme in schemes))
        raise ValueError(f"the URL {shown(url)!r} is none that can be opened; give {forms}")
    query = dict(parse_qsl(parts.query))
    name = query.pop("name", USUAL)
    if not NAME.fullmatch(name):
        raise ValueError(f"name {name!r} of a URL: use 1 to 32 letters, digits and underscores")
    return urlunsplit(parts._replace(query=urlencode(query))), name


def shown(url: str) -> str:
    """A URL without its credentials, for messages and logs."""
    return re.sub(r"//.*@", "//...@", url).partition("?")[0]  # a password may hold any character
