"""A server with the routes that traffic calls, whose answers a test decides."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

STATUS = {"policy": "v1", "slate_size": 3, "response_names": ["stars"], "context": 2}
Reply = tuple[int, Any]


def slate(body: Any) -> Reply:
    """The same three items for everybody."""
    answer = {"decision_id": body["request_id"], "items": ["a", "b", "c"], "policy": "v1"}
    return 200, answer | {"fallback": None}


def kept(body: Any) -> Reply:
    return 200, {"kept": len(body)}


@contextmanager
def stub(
    decide: Callable[[Any], Reply] = slate, outcome: Callable[[Any], Reply] = kept
) -> Iterator[tuple[str, dict[str, list[Any]]]]:
    """Its URL, and the bodies that it was sent by their routes."""
    seen: dict[str, list[Any]] = {"/decide": [], "/outcome": [], "tokens": []}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self.reply((200, STATUS))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen[self.path].append(body)
            seen["tokens"].append(self.headers["Authorization"])
            self.reply((decide if self.path == "/decide" else outcome)(body))

        def reply(self, reply: Reply) -> None:
            status, said = reply
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 1_000

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
