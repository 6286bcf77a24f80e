"""`longplay forget USER`: a user is removed from sessions, events and joined logs."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from experiments.serve.places import reached_events
from serving.http.tokens import read_token
from serving.keys import Keys
from serving.privacy.decision_logs import forget_rows
from serving.privacy.forgetting import Forgotten, forget
from serving.registry.registry import Registry
from serving.registry.secret import secret_of_environment

TIMEOUT = 600.0  # s: a server rewrites its segments before it answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Forget a user; exit status 1 when something of the user remains where it was looked for, or
    may remain there because the log was written under another secret."""

    user: tyro.conf.Positional[str]
    """The caller's id of the user; `-` reads it from standard input, which keeps it out of the
    shell's history."""
    url: str | None = None
    """A server that runs: it removes the user from its sessions, in memory too, and its events."""
    token_file: Path | None = None
    """The server's token; LONGPLAY_TOKEN otherwise."""
    events: str | None = None
    """A folder of events, or the URL of a server of them: without a Longplay server."""
    sessions: str | None = None
    """The URL of a server of sessions (redis://...)."""
    log: tuple[Path, ...] = ()
    """Decision logs that were joined before: rewritten without the user's rows."""
    registry: Path | None = None
    """The registry, whose secret tells under which key the user is known."""
    secret_file: Path | None = None
    """The same secret in a file of its own; LONGPLAY_SECRET otherwise."""


def run(settings: Settings) -> int:
    """Forget, and say what was removed and what was not."""
    here = settings.events, settings.sessions, *settings.log
    if settings.url is None and not any(here):
        raise ValueError("name where: --url of a server, or --events, --sessions, --log")
    user = settings.user if settings.user != "-" else sys.stdin.readline().rstrip("\r\n")
    remaining = 0
    if settings.url is not None:
        told = ask_server(settings.url, user, settings.token_file)
        print(json.dumps(told, indent=1))
        remaining += sum(told.get("remaining", {}).values()) + told.get("other_secrets", 0)
    if any(here):
        forgotten = _forgotten(user, settings)
        for folder in settings.log:
            rows = forget_rows(folder, forgotten.user)
            print(f"{folder}: {rows:,} rows removed")
        print(forgotten.text())
        remaining += sum(forgotten.remaining.values()) + forgotten.other_secrets
    return 1 if remaining else 0


def _forgotten(user: str, settings: Settings) -> Forgotten:
    keys = Keys(secret_of(settings))
    with ExitStack() as opened:
        events = sessions = None
        if settings.events is not None:
            events = opened.enter_context(reached_events(settings.events))
        if settings.sessions is not None:
            from serving.sessions.opening import open_sessions

            sessions = open_sessions(settings.sessions)
        return forget(user, keys=keys, events=events, sessions=sessions)


def secret_of(settings: Settings) -> bytes:
    """Raises ValueError where none is named."""
    if settings.secret_file is not None:
        return settings.secret_file.read_bytes()
    if settings.registry is not None:
        return Registry(settings.registry).secret()
    secret = secret_of_environment()
    if secret is None:
        raise ValueError(
            "users are known by keyed hashes: give --registry or --secret-file, or set "
            "LONGPLAY_SECRET"
        )
    return secret


def ask_server(url: str, user: str, token_file: Path | None) -> dict[str, Any]:
    """POST /forget. Raises ValueError with what the server said against it."""
    headers = {"Content-Type": "application/json"}
    token = read_token(token_file)
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    body = json.dumps({"user": user}).encode()
    request = urllib.request.Request(f"{url.rstrip('/')}/forget", body, headers)
    if request.type not in ("http", "https"):
        raise ValueError(f"--url {url}: give an http:// or https:// URL")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            told: dict[str, Any] = json.load(answer)
            return told
    except urllib.error.HTTPError as error:
        said = error.read(1_000).decode("utf-8", "replace")
        raise ValueError(f"{url} answered {error.code}: {said}") from None
