"""Two agents, an agent that rewrites histories, and two filters, for trying things out: each at a path of its own.

    python agents.py --port 8000

`/flights` and `/hotels` say what they heard. `/context` answers with the messages that shall take the place of those it
got. `/masks` gets the request as it is: it hides card numbers, and refuses passwords. `/style` gets replies, whole or a
few events at a time, and gives them the words of the house.
"""

from __future__ import annotations

import argparse
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

CARD = re.compile(rb"\b\d{4}([ -]?\d{4}){3}\b")
encode = msgspec.json.encode


def completion(text: str) -> bytes:
    """A whole chat completion."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return encode({"id": "chatcmpl-example", "object": "chat.completion", "choices": [choice]})


def events(text: str) -> bytes:
    """The same, streamed a word at a time."""
    parts = [{"choices": [{"index": 0, "delta": {"content": f"{word} "}}]} for word in text.split()]
    return b"".join(b"data: " + encode(part) + b"\n\n" for part in parts) + b"data: [DONE]\n\n"


class Agents(BaseHTTPRequestHandler):
    """Answers for all of them."""

    def do_POST(self) -> None:
        """Take one request."""
        body = self.rfile.read(int(self.headers["content-length"]))
        who = self.path.split("/")[1]
        if who == "masks":
            self._masks(body)
            return
        if who == "style":
            self._answer(200, body.replace(b"luggage", b"baggage"), self.headers["content-type"])
            return
        asked: dict[str, Any] = msgspec.json.decode(body)
        messages = asked["messages"]
        if who == "context":
            known = {"role": "system", "content": "the guest is a member since 2019"}
            self._answer(200, completion(encode([known, *messages]).decode()))
            return
        text = f"{who} heard: {' / '.join(str(one['content']) for one in messages)}"
        if asked.get("stream"):
            self._answer(200, events(text), "text/event-stream")
        else:
            self._answer(200, completion(text))

    def _masks(self, body: bytes) -> None:
        if b"password" in body:
            self._answer(422, b"never send passwords")
        else:
            self._answer(200, CARD.sub(b"****", body))

    def _answer(self, status: int, body: bytes, content_type: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8000)
    ThreadingHTTPServer(("127.0.0.1", parser.parse_args().port), Agents).serve_forever()


if __name__ == "__main__":
    main()
