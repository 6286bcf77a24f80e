"""`longplay serve`: the HTTP server."""

from __future__ import annotations

import gc
import logging
import sys
from dataclasses import dataclass, field
from pathlib import Path

from policies.validation import COUNT
from serving.http.limits import Limits
from serving.registry.registry import Registry

HERE = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Answer requests with the live version of a registry until SIGTERM or Ctrl-C; then what waits
    is answered, and the event log is closed. When the registry's pointer changes, the server goes
    on with the new version, between two requests.

    Routes: POST /decide, /outcome, /explain and /forget; GET /status, /metrics, /health, /ready,
    /openapi.json, and a page at /.
    """

    registry: Path
    """A folder with a live version: longplay release add FOLDER --registry REGISTRY --promote
    makes it of a saved policy."""
    events: str | None = None
    """Where decisions and outcomes are kept: a folder, redis://HOST:PORT or nats://HOST:PORT. By
    default the folder `events` in the registry's."""
    sessions: str | None = None
    """Where histories and sessions are kept: redis://HOST:PORT. By default in memory; after a
    restart they are read back from the event log."""
    host: str = "127.0.0.1"
    """Address to listen at; 0.0.0.0 = all of this machine's."""
    port: int = 8080
    """0 = a free one, which is printed."""
    token_file: Path | None = None
    """A file with the token that callers must show at every route but /health, as Authorization:
    Bearer TOKEN; browsers ask for it as a password. By default $LONGPLAY_TOKEN; without either,
    nothing must be shown."""
    writer: str = "main"
    """This server's name in the event log; servers that share a log have a name each."""
    max_steps: int | None = None
    """Decisions after which sessions end by design, if they do."""
    idle: float = 1_800.0
    """Seconds without a request after which a session begins anew."""
    read_back: float = 5.0
    """Seconds for which the event log is read at the start, from its end backwards, to restore
    sessions in memory; it warns, and /status says so, where a day of it takes longer."""
    poll: float = 1.0
    """Seconds between two looks at the registry's pointer."""
    seconds: float | None = None
    """End by itself after so long."""
    limits: Limits = field(default_factory=Limits)


def run(settings: Settings) -> int:
    """Serve; exit status 0 after SIGTERM."""
    from serving.http.opening import open_service
    from serving.http.running import check_installed, serve
    from serving.http.tokens import read_token

    check_installed()
    if settings.max_steps is not None:
        COUNT.check("max_steps", settings.max_steps)
    token = read_token(settings.token_file)
    registry = Registry(settings.registry)
    registry.find("live")  # before anything is made
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(message)s")
    service = open_service(
        registry,
        settings.events or str(settings.registry / "events"),
        sessions=settings.sessions,
        writer=settings.writer,
        idle=settings.idle,
        read_back=settings.read_back,
        limits=settings.limits,
        token=token,
        max_steps=settings.max_steps,
        poll=settings.poll,
    )
    if token is None and settings.host not in HERE:
        logging.getLogger("serving").warning(
            "listening at %s without a token: whoever reaches this machine may ask, report and "
            "forget; give --token-file",
            settings.host,
        )
    gc.collect()
    gc.freeze()  # what is loaded stays: no later collection looks at it
    serve(
        service,
        host=settings.host,
        port=settings.port,
        seconds=settings.seconds,
        ready=lambda url: print(f"serving on {url}", flush=True),
    )
    return 0
