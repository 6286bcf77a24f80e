"""What one would write first: a handler that decides its own request, one at a time. The same
engine, log and sessions as the server's; no queue, no batches, no deadline.

`python -m experiments.traffic.benchmark.plain REGISTRY EVENTS` prints `serving on URL`.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from serving.contracts.outcomes import Outcome
from serving.contracts.requests import Request
from serving.engine import Engine
from serving.events.segments import SegmentLog
from serving.registry.opening import open_engine
from serving.registry.registry import Registry

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def plain_app(engine: Engine) -> Callable[[dict[str, Any], Receive, Send], Awaitable[None]]:
    """An ASGI application over an engine, with the routes that traffic calls."""
    import msgspec

    encode, decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode
    serving = engine.serving
    status = {
        "policy": engine.version,
        "slate_size": serving.slate_size,
        "response_names": serving.response_names,
        "context": serving.user_size,
    }

    def answer(path: str, body: bytes) -> Any:
        if path == "/decide":
            decision = engine.decide(Request.from_json(decode(body)))
            return {
                "decision_id": decision.decision_id,
                "items": decision.items,
                "policy": decision.policy,
                "propensity": decision.propensity,
                "position_propensity": decision.position_propensity,
                "step": decision.step,
                "fallback": decision.fallback,
            }
        if path == "/outcome":
            outcomes = [Outcome.from_json(one) for one in decode(body)]
            engine.outcomes(outcomes)
            return {"kept": len(outcomes)}
        return status

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        body, more = b"", scope["method"] == "POST"
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        said = encode(answer(scope["path"], body))
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": said})

    return app


def main(registry: str, events: str) -> None:
    """Serve until SIGTERM."""
    import uvicorn

    engine = open_engine(Registry(Path(registry)), SegmentLog(events))
    listening = socket.create_server(("127.0.0.1", 0))
    print(f"serving on http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    config = uvicorn.Config(plain_app(engine), lifespan="off", access_log=False, log_level="error")
    uvicorn.Server(config).run([listening])
    engine.events.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
