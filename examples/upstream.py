"""A small upstream that needs no key: it speaks the wire formats of OpenAI and Anthropic, always the same.

    python examples/upstream.py --port 8000

It says which model it was asked for and what it heard, so that one sees what the gateway did on the way.
Models by name:

    *slow*       half a second before each word
    status-NNN   an error with that HTTP status, in the vendor's form (status-429 with `retry-after: 7`)
    anything     answers at once

Rule: it is for trying things out, on the loopback interface; it has no limits and asks for no key.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, cast

import msgspec
import trio
from hypercorn.config import Config
from hypercorn.trio import serve

Scope = dict[str, Any]
Event = dict[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Json = dict[str, Any]

CREATED = 1_735_689_600  # 2025-01-01, so that an answer is the same every time
MODELS = ("gpt-4o", "gpt-4o-mini", "claude-sonnet-4", "slow")
SLOW = 0.5
ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
encode = msgspec.json.encode


class Reply(msgspec.Struct, frozen=True):
    """A complete answer, or the items of a streamed one."""

    status: int
    body: bytes
    events: tuple[bytes, ...] = ()
    headers: tuple[tuple[bytes, bytes], ...] = ()
    pause: float = 0.0


def words(text: str) -> list[str]:
    """The text as a model would stream it: a word at a time, each with the space before it."""
    first, *rest = text.split(" ")
    return [first, *(" " + word for word in rest)]


def heard(messages: Iterable[Json]) -> str:
    """The text of the last message, whichever form its content has."""
    content = next((message.get("content") or "" for message in reversed(list(messages))), "")
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", "") for part in content if part.get("type") == "text")


def count(request: Json) -> int:
    """How many tokens the request has, as this upstream counts: words."""
    return sum(len(words(heard([message]))) for message in request.get("messages", []))


def sse(data: Json, event: str = "") -> bytes:
    """One server-sent event."""
    return (f"event: {event}\n".encode() if event else b"") + b"data: " + encode(data) + b"\n\n"


def chat(request: Json) -> Reply:
    """POST /v1/chat/completions."""
    model = request["model"]
    text = f"{model} heard: {heard(request['messages'])}"
    usage = {"prompt_tokens": count(request), "completion_tokens": len(words(text))}
    usage["total_tokens"] = sum(usage.values())
    head = {"id": "chatcmpl-example", "created": CREATED, "model": model}
    message = {"role": "assistant", "content": text}
    whole = {
        **head,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage,
    }

    def chunk(delta: Json, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return sse({**head, "object": "chat.completion.chunk", "choices": [choice]})

    events = [chunk({"role": "assistant", "content": ""})]
    events += [chunk({"content": word}) for word in words(text)]
    events.append(chunk({}, "stop"))
    if (request.get("stream_options") or {}).get("include_usage"):
        events.append(sse({**head, "object": "chat.completion.chunk", "choices": [], "usage": usage}))
    events.append(b"data: [DONE]\n\n")
    return Reply(200, b"", tuple(events)) if request.get("stream") else Reply(200, encode(whole))


def completion(request: Json) -> Reply:
    """POST /v1/completions."""
    model, prompt = request["model"], request["prompt"]
    text = f"{model} heard: {prompt}"
    usage = {"prompt_tokens": len(words(prompt)), "completion_tokens": len(words(text))}
    usage["total_tokens"] = sum(usage.values())
    head = {"id": "cmpl-example", "object": "text_completion", "created": CREATED, "model": model}

    def choices(piece: str, finish: str | None) -> list[Json]:
        return [{"index": 0, "text": piece, "logprobs": None, "finish_reason": finish}]

    whole = {**head, "choices": choices(text, "stop"), "usage": usage}
    events = [sse({**head, "choices": choices(word, None)}) for word in words(text)]
    events += [sse({**head, "choices": choices("", "stop")}), b"data: [DONE]\n\n"]
    return Reply(200, b"", tuple(events)) if request.get("stream") else Reply(200, encode(whole))


def embeddings(request: Json) -> Reply:
    """POST /v1/embeddings: the vector of a text is its length, its words and its vowels."""
    inputs = [request["input"]] if isinstance(request["input"], str) else request["input"]
    vectors = [[float(len(t)), float(len(words(t))), float(sum(t.count(v) for v in "aeiou"))] for t in inputs]
    tokens = sum(len(words(text)) for text in inputs)
    data = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(vectors)]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return Reply(200, encode({"object": "list", "data": data, "model": request["model"], "usage": usage}))


def messages(request: Json) -> Reply:
    """POST /v1/messages, in Anthropic's form."""
    model = request["model"]
    text = f"{model} heard: {heard(request['messages'])}"
    asked, told = count(request), len(words(text))
    head = {"id": "msg_example", "type": "message", "role": "assistant", "model": model}
    whole = {
        **head,
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": asked, "output_tokens": told},
    }
    if not request.get("stream"):
        return Reply(200, encode(whole))
    begun = {
        **whole,
        "content": [],
        "stop_reason": None,
        "usage": {"input_tokens": asked, "output_tokens": 1},
    }
    block = {"type": "text", "text": ""}
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    events: list[Json] = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}
            for word in words(text)
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": told}},
        {"type": "message_stop"},
    ]
    return Reply(200, b"", tuple(sse(event, event["type"]) for event in events))


def failure(status: int, path: str) -> Reply:
    """An error in the form of the vendor whose path it is."""
    kind = ERROR_TYPES.get(status, "api_error")
    text = f"you asked for status {status}"
    body: Json = {"error": {"message": text, "type": kind, "param": None, "code": None}}
    if path == "/v1/messages":
        body = {"type": "error", "error": {"type": kind, "message": text}, "request_id": "req_example"}
    again = ((b"retry-after", b"7"),) if status == 429 else ()
    return Reply(status, encode(body), headers=again)


ROUTES: dict[str, Callable[[Json], Reply]] = {
    "/v1/chat/completions": chat,
    "/v1/completions": completion,
    "/v1/embeddings": embeddings,
    "/v1/messages": messages,
}


def answer(method: str, path: str, body: bytes) -> Reply:
    """What is answered to a request."""
    if method == "GET" and path == "/v1/models":
        models = [{"id": m, "object": "model", "created": CREATED, "owned_by": "example"} for m in MODELS]
        return Reply(200, encode({"object": "list", "data": models}))
    if method == "GET" and path == "/healthz":
        return Reply(200, b'{"status":"ok"}')
    if method != "POST" or path not in ROUTES:
        return failure(404, path)
    try:
        request = msgspec.json.decode(body, type=Json)
        model = str(request["model"])
        if model.startswith("status-"):
            return failure(int(model.removeprefix("status-")), path)
        reply = ROUTES[path](request)
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError):
        return failure(400, path)
    return msgspec.structs.replace(reply, pause=SLOW) if "slow" in model else reply


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI application."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    body = b""
    while (event := await receive())["type"] == "http.request":
        body += event["body"]
        if not event.get("more_body"):
            break
    reply = answer(scope["method"], scope["path"], body)
    log(scope, body, reply)
    left = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch, receive, left, nursery.cancel_scope)
        await respond(reply, send)
        nursery.cancel_scope.cancel()
    if left.is_set():
        print("  the client left before the end", file=sys.stderr, flush=True)
    else:
        await send({"type": "http.response.body", "body": reply.body})


async def lifespan(receive: Receive, send: Send) -> None:
    """Nothing to set up: say so twice."""
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})


async def watch(receive: Receive, left: trio.Event, scope: trio.CancelScope) -> None:
    """Stop answering when the client leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass
    left.set()
    scope.cancel()


async def respond(reply: Reply, send: Send) -> None:
    """Send a reply up to its body, or up to the end of its events."""
    kind = b"text/event-stream" if reply.events else b"application/json"
    head = [(b"content-type", kind), (b"x-request-id", b"req_example"), *reply.headers]
    if not reply.events:
        head.append((b"content-length", str(len(reply.body)).encode()))
        await trio.sleep(reply.pause)
    await send({"type": "http.response.start", "status": reply.status, "headers": head})
    for event in reply.events:
        await send({"type": "http.response.body", "body": event, "more_body": True})
        await trio.sleep(reply.pause)


def log(scope: Scope, body: bytes, reply: Reply) -> None:
    """One line for each request: what came in, and the credentials it came with, shortened."""
    try:
        request = msgspec.json.decode(body, type=Json)
    except msgspec.MsgspecError:
        request = {}
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    key = headers.get("authorization") or headers.get("x-api-key") or "none"
    print(
        f"{scope['method']} {scope['path']} HTTP/{scope['http_version']} model={request.get('model', '-')}"
        f" stream={bool(request.get('stream'))} key={key[:12]} -> {reply.status}",
        file=sys.stderr,
        flush=True,
    )


async def run(config: Config) -> None:
    """Serve until a signal says stop."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        await serve(cast("Any", app), config, shutdown_trigger=cast("Any", signals.__anext__))


def main() -> None:
    """Parse the command line and serve until interrupted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--certificate", help="PEM file: serve https, with HTTP/2 by ALPN")
    parser.add_argument("--private-key", help="PEM file")
    options = parser.parse_args()
    config = Config()
    config.bind = [f"127.0.0.1:{options.port}"]
    config.certfile, config.keyfile = options.certificate, options.private_key
    config.alpn_protocols = ["h2", "http/1.1"]
    config.keep_alive_timeout = 3600
    config.keep_alive_max_requests = 10**9
    config.loglevel = "WARNING"
    config.graceful_timeout = 0.5
    failed = ""
    try:
        trio.run(run, config)
    except* OSError as group:
        reason: BaseException = group
        while isinstance(reason, BaseExceptionGroup):
            reason = reason.exceptions[0]
        failed = f"cannot serve on port {options.port}: {reason}"
    sys.exit(failed or 0)


if __name__ == "__main__":
    main()
