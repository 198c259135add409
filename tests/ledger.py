"""Somebody else's HTTP server that writes down every request: the independent count of executions."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import orjson


class Ledger(ThreadingHTTPServer):
    """Answers `/<what>/<argument>/<name>` and counts it under `name`.

    `nap/<seconds>` answers after so long; `fail/<count>` answers 503 so often, then 200; `status/<code>` that code;
    `gate/open` answers once `open_gate` was called; `size/<bytes>` gives a body of that size; `echo/all` shows what
    was sent, and `quote/<code>` does the same as a refusal. `/v1/chat/completions` answers as a model does, and is
    counted under the last message's text; the model `quoting` refuses and shows what was sent.
    """

    daemon_threads = True
    request_queue_size = 512

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: Counter[str] = Counter()
        #: When each name's requests came, by the monotonic clock.
        self.times: dict[str, list[float]] = {}
        self.answered: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._gate = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away in the middle is no news."""

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def note(self, name: str) -> int:
        """Write it down; how many requests of that name there were."""
        with self._lock:
            self.requests[name] += 1
            self.times.setdefault(name, []).append(time.monotonic())
            return self.requests[name]

    def of(self, prefix: str) -> dict[str, int]:
        """Requests by name, of the names that begin so."""
        with self._lock:
            return {name: count for name, count in self.requests.items() if name.startswith(prefix)}

    def open_gate(self) -> None:
        """Let those go on that wait at the gate; a new one is closed."""
        self._gate.set()
        self._gate = threading.Event()

    def wait_at_gate(self) -> None:
        self._gate.wait(60)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body leave in one packet each; without this the second waits for the first one's receipt.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        ledger = cast(Ledger, self.server)
        if self.path == "/v1/chat/completions":
            self._complete(ledger, orjson.loads(body))
            return
        what, argument, name = self.path.partition("?")[0].strip("/").split("/", 2)
        count = ledger.note(name)
        status, answer = 200, orjson.dumps({"name": name, "count": count})
        if what == "nap":
            time.sleep(float(argument))
        elif what == "gate":
            ledger.wait_at_gate()
        elif what == "status":
            status = int(argument)
        elif what == "fail" and count <= int(argument):
            status = 503
        elif what == "size":
            answer = orjson.dumps({"text": "x" * int(argument)})
        elif what in ("echo", "quote"):
            status = int(argument) if what == "quote" else 200
            answer = self._sent(body)
        self._answer(status, answer)
        ledger.answered[name] += 1

    def _sent(self, body: bytes) -> bytes:
        headers = {key.lower(): value for key, value in self.headers.items()}
        words = {"method": self.command, "path": self.path, "headers": headers, "body": body.decode(errors="replace")}
        return orjson.dumps(words)

    def _complete(self, ledger: Ledger, body: dict[str, Any]) -> None:
        name = body["messages"][-1]["content"]
        ledger.note(name)
        if body["model"] == "quoting":
            message = f"I refuse {self._sent(orjson.dumps(body)).decode()}"
            self._answer(401, orjson.dumps({"error": {"message": message}}))
            return
        choice = {"index": 0, "message": {"role": "assistant", "content": f"said {name}"}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
        self._answer(200, orjson.dumps({"model": body["model"], "choices": [choice], "usage": usage}))
        ledger.answered[name] += 1

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def _answer(self, status: int, body: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("set-cookie", "session=cookie-of-the-other-side")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """The ledger is the log."""


@contextmanager
def ledger() -> Iterator[Ledger]:
    server = Ledger()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.open_gate()
        server.shutdown()
        server.server_close()
