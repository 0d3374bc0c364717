"""Two agents of a travel agency, for trying things out: each is a chat model at a path of its own.

    python agents.py --port 8001

`/weather` tells the weather of the last city that anybody named, `/flights` a flight there. Neither knows what the
other knows; what one said before the other is in the messages that it gets.
"""

from __future__ import annotations

import argparse
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

CITY = re.compile(r"\b(Lisbon|Oslo|Rome|Seattle|Tokyo)\b")
encode = msgspec.json.encode


def weather(city: str, _: list[str]) -> str:
    """What the weather agent says."""
    return f"In {city} it is sunny at 21 degrees."


def flights(city: str, said: list[str]) -> str:
    """What the flight agent says; it heeds what it heard of the weather."""
    heard = next((one for one in reversed(said) if "sunny" in one), "")
    return f"AF1022 leaves for {city} at 9:40." + (" Take sunglasses." if heard else "")


class Agents(BaseHTTPRequestHandler):
    """Answers for both."""

    def do_POST(self) -> None:
        """Take one request."""
        asked: dict[str, Any] = msgspec.json.decode(self.rfile.read(int(self.headers["content-length"])))
        said = [str(one["content"]) for one in asked["messages"]]
        cities = CITY.findall(" ".join(said))
        agent = weather if self.path.startswith("/weather") else flights
        text = agent(cities[-1], said) if cities else "Which city?"
        self._answer(text, streamed=bool(asked.get("stream")))

    def _answer(self, text: str, *, streamed: bool) -> None:
        head = {"id": "chatcmpl-agent", "created": 1_735_689_600, "model": self.path.split("/")[1]}
        if streamed:
            deltas = [
                {"role": "assistant", "content": ""},
                *({"content": f"{word} "} for word in text.split()),
            ]
            whole = {**head, "object": "chat.completion.chunk"}
            events = [
                {**whole, "choices": [{"index": 0, "delta": one, "finish_reason": None}]} for one in deltas
            ]
            events.append({**whole, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            body = b"".join(b"data: " + encode(one) + b"\n\n" for one in events) + b"data: [DONE]\n\n"
        else:
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            body = encode({**head, "object": "chat.completion", "choices": [choice]})
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if streamed else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8001)
    ThreadingHTTPServer(("127.0.0.1", parser.parse_args().port), Agents).serve_forever()


if __name__ == "__main__":
    main()
