"""An agent and a weather service, for trying things out.

    python desk.py --port 8001

`POST /flights/...` is the agent: it says what it heard. `GET /weather/CITY` is the service.
"""

from __future__ import annotations

import argparse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import msgspec

encode = msgspec.json.encode


class Desk(BaseHTTPRequestHandler):
    """Answers for both."""

    def do_GET(self) -> None:
        """Tell the weather."""
        city = unquote(self.path.partition("/weather/")[2].partition("?")[0])
        self._answer(encode({"city": city, "sky": "clear", "degrees": 21}))

    def do_POST(self) -> None:
        """Answer as the agent."""
        asked: dict[str, Any] = msgspec.json.decode(self.rfile.read(int(self.headers["content-length"])))
        said = " / ".join(str(one["content"]) for one in asked["messages"])
        message = {"role": "assistant", "content": f"the flight agent heard: {said}"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self._answer(encode({"id": "chatcmpl-example", "object": "chat.completion", "choices": [choice]}))

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8001)
    ThreadingHTTPServer(("127.0.0.1", parser.parse_args().port), Desk).serve_forever()


if __name__ == "__main__":
    main()
