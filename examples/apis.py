"""Small APIs for prompts to call, always the same answers: exchange rates, weather, network devices, insurance.

    python examples/apis.py --port 8001

Each line that it prints is a call that it got: method, path, body.

Rule: it is for trying things out, on the loopback interface; whatever it is asked to do, it only says so.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

Json = dict[str, Any]
RATES = {"CHF": 0.9, "EUR": 0.96, "GBP": 0.8, "INR": 85.6, "JPY": 157.0}
CURRENCIES = {"CHF": "Swiss Franc", "EUR": "Euro", "GBP": "British Pound", "INR": "Rupee", "JPY": "Yen"}
PREMIUM = {"car": 90, "boat": 40, "house": 60, "motorcycle": 30}


class Refused(Exception):
    """The API says no: with a status, in words."""


def latest(_: str, asked: Json) -> Json:
    """Exchange rates, as api.frankfurter.dev tells them."""
    symbol = asked["symbols"]
    if symbol not in RATES:
        raise Refused(404, "not found")
    return {"base": asked["base"], "date": "2025-01-01", "rates": {symbol: RATES[symbol]}}


def weather(_: str, asked: Json) -> Json:
    """It gets a degree warmer every day, wherever one is."""
    celsius = asked["unit"] == "celsius"
    highs = [15 + day if celsius else 59 + 2 * day for day in range(asked["days"])]
    return {"location": asked["location"], "unit": asked["unit"], "highs": highs}


def air(_: str, asked: Json) -> Json:
    """The air is good."""
    return {"location": asked["location"], "fine_dust": 7, "pollen": "low"}


def other(_: str, asked: Json) -> Json:
    """Takes what nothing else does: a conversation, answered as a chat completion."""
    last = asked["messages"][-1]["content"]
    return completion(f"I only know about the weather, not about: {last}")


def summary(_: str, asked: Json) -> Json:
    """What a device did."""
    told = {"traffic": "41 GB", "errors": 3, "latency": "2 ms"}
    wanted = [asked["metric"]] if "metric" in asked else list(told)
    return {"device_id": asked["device_id"], "days": asked["days"], **{one: told[one] for one in wanted}}


def reboot(_: str, asked: Json) -> Json:
    """Only what was confirmed is done."""
    status = "rebooting" if asked["confirmation"] else "left alone"
    return {"device_id": asked["device_id"], "status": status}


def coverage(_: str, asked: Json) -> Json:
    """What a policy covers."""
    kind = asked["policy_type"]
    return {"policy_type": kind, "covers": ["theft", "fire", "storm"], "per_month": PREMIUM[kind]}


def initiate(_: str, asked: Json) -> Json:
    """A new policy."""
    return {"policy_id": "P-1003", **asked}


def claim(path: str, asked: Json) -> Json:
    """A note on a claim."""
    return {"claim_id": path.rpartition("/")[2], "notes": [asked["notes"]]}


def deductible(_: str, asked: Json) -> Json:
    """Another deductible."""
    return {**asked, "from": "2025-02-01"}


def questions(_: str, asked: Json) -> Json:
    """What is known about insurance, for a model to answer with."""
    return completion(
        f"{len(asked['messages'])} message(s) read; claims are filed at claims.example, day and night"
    )


def completion(text: str) -> Json:
    """A chat completion that says something."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "chatcmpl-api", "object": "chat.completion", "model": "api", "choices": [choice]}


ROUTES: tuple[tuple[str, str, Callable[[str, Json], Json]], ...] = (
    ("GET", r"/v1/latest", latest),
    ("GET", r"/v1/currencies", lambda *_: CURRENCIES),
    ("POST", r"/weather", weather),
    ("POST", r"/air", air),
    ("POST", r"/default_target", other),
    ("POST", r"/agent/device_summary", summary),
    ("POST", r"/agent/device_reboot", reboot),
    ("POST", r"/policy/coverage", coverage),
    ("POST", r"/policy/initiate", initiate),
    ("PATCH", r"/policy/claim/[^/]+", claim),
    ("POST", r"/policy/deductible", deductible),
    ("POST", r"/policy/qa", questions),
)


def answer(method: str, target: str, body: bytes) -> Json:
    """What is answered to a call.

    Raises:
        Refused: something else.
    """
    parts = urlsplit(target)
    found = next(
        (route for way, path, route in ROUTES if way == method and re.fullmatch(path, parts.path)), None
    )
    if found is None:
        raise Refused(404, f"there is no {method} {parts.path}")
    try:
        return found(
            parts.path, {**dict(parse_qsl(parts.query)), **(msgspec.json.decode(body) if body else {})}
        )
    except (KeyError, TypeError, IndexError, msgspec.MsgspecError) as error:
        raise Refused(400, f"bad call: {error!r}") from error


class Apis(BaseHTTPRequestHandler):
    """Answers for all of them."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self) -> None:
        """Take one call."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        status = 200
        try:
            found = answer(self.command, self.path, body)
        except Refused as error:
            status, found = error.args[0], {"error": error.args[1]}
        line = f"{self.command} {self.path} {body.decode() or '-'} -> {status}\n"
        print(line, end="", file=sys.stderr, flush=True)  # in one piece: several calls come at once
        data = msgspec.json.encode(found)
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_PATCH = do_GET  # noqa: N815 - as the standard library calls them

    def log_message(self, *_: object) -> None:
        """Say nothing more."""


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--port", type=int, default=8001)
    ThreadingHTTPServer(("127.0.0.1", parser.parse_args().port), Apis).serve_forever()


if __name__ == "__main__":
    main()
