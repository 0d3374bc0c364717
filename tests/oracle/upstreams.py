"""Scripts for upstreams that speak one dialect each and use a tool: what a model would say, the same every time.

Every script calls the first tool that it is offered whose name it knows, once; when the tool has answered, it says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import json

from process.upstream import Answer, Received

Json = dict[str, Any]
Arguments = Callable[[Json], Json]
"""The arguments of a call, from the request."""
JSON_HEAD = (("content-type", "application/json"),)
STREAM_HEAD = (("content-type", "text/event-stream"),)


def sse(data: Json, event: str = "") -> bytes:
    """One event."""
    return (f"event: {event}\n".encode() if event else b"") + b"data: " + json.encode(data) + b"\n\n"


def chat(tools: Mapping[str, Arguments], final: str = "Done.") -> Callable[[Received], Answer]:
    """An upstream of Chat Completions: calls a tool, then says `final`."""

    def script(request: Received) -> Answer:
        asked = request.json
        called = any(message["role"] == "tool" for message in asked["messages"])
        offered = [tool["function"]["name"] for tool in asked.get("tools", ())]
        name = next((one for one in offered if one in tools), "")
        usage = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}
        shared = {"id": "chatcmpl-9", "created": 1, "model": asked["model"]}
        if name and not called:
            arguments = json.encode(tools[name](asked)).decode()
            call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}
            half = len(arguments) // 2
            deltas: list[Json] = [
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"index": 0, **call, "function": {"name": name, "arguments": ""}}],
                },
                {"tool_calls": [{"index": 0, "function": {"arguments": arguments[:half]}}]},
                {"tool_calls": [{"index": 0, "function": {"arguments": arguments[half:]}}]},
            ]
            message: Json = {"role": "assistant", "content": None, "tool_calls": [call]}
            reason = "tool_calls"
        else:
            deltas = [{"role": "assistant", "content": ""}, {"content": final[:2]}, {"content": final[2:]}]
            message, reason = {"role": "assistant", "content": final}, "stop"
        if not asked.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": reason}
            return Answer(
                body=json.encode({**shared, "object": "chat.completion", "choices": [choice], "usage": usage})
            )
        chunk = {**shared, "object": "chat.completion.chunk"}
        events = [
            sse({**chunk, "choices": [{"index": 0, "delta": one, "finish_reason": None}]}) for one in deltas
        ]
        events.append(sse({**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}))
        if asked.get("stream_options", {}).get("include_usage"):
            events.append(sse({**chunk, "choices": [], "usage": usage}))
        return Answer(events=(*events, b"data: [DONE]\n\n"), headers=STREAM_HEAD)

    return script


def messages(tools: Mapping[str, Arguments], final: str = "Done.") -> Callable[[Received], Answer]:
    """An upstream of Messages: thinks, calls a tool, then says `final`."""

    def script(request: Received) -> Answer:
        asked = request.json
        if request.path.partition("?")[0].endswith("/count_tokens"):
            return Answer(body=json.encode({"input_tokens": 42}))
        called = any(
            isinstance(message["content"], list)
            and any(part["type"] == "tool_result" for part in message["content"])
            for message in asked["messages"]
        )
        name = next((tool["name"] for tool in asked.get("tools", ()) if tool["name"] in tools), "")
        blocks: list[Json] = []
        if asked.get("thinking", {}).get("type") in {"enabled", "adaptive"} and not called:
            blocks.append({"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmVk"})
        if name and not called:
            blocks.append({"type": "tool_use", "id": "toolu_1", "name": name, "input": tools[name](asked)})
        else:
            blocks.append({"type": "text", "text": final})
        reason = "tool_use" if blocks[-1]["type"] == "tool_use" else "end_turn"
        whole = {
            "id": "msg_9",
            "type": "message",
            "role": "assistant",
            "model": asked["model"],
            "content": blocks,
            "stop_reason": reason,
            "stop_sequence": None,
            "usage": {"input_tokens": 12, "output_tokens": 5},
        }
        if not asked.get("stream"):
            return Answer(body=json.encode(whole))
        return Answer(events=tuple(_message_events(whole)), headers=STREAM_HEAD)

    return script


def _message_events(whole: Json) -> list[bytes]:
    start = {**whole, "content": [], "stop_reason": None, "usage": {"input_tokens": 12, "output_tokens": 1}}
    events = [
        sse({"type": "message_start", "message": start}, "message_start"),
        sse({"type": "ping"}, "ping"),
    ]
    for index, block in enumerate(whole["content"]):
        if block["type"] == "text":
            begin: Json = {"type": "text", "text": ""}
            deltas: list[Json] = [
                {"type": "text_delta", "text": block["text"][:2]},
                {"type": "text_delta", "text": block["text"][2:]},
            ]
        elif block["type"] == "thinking":
            begin = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [
                {"type": "thinking_delta", "thinking": block["thinking"]},
                {"type": "signature_delta", "signature": block["signature"]},
            ]
        else:
            begin = {**block, "input": {}}
            text = json.encode(block["input"]).decode()
            half = len(text) // 2
            deltas = [
                {"type": "input_json_delta", "partial_json": text[:half]},
                {"type": "input_json_delta", "partial_json": text[half:]},
            ]
        events.append(
            sse(
                {"type": "content_block_start", "index": index, "content_block": begin}, "content_block_start"
            )
        )
        events += [
            sse({"type": "content_block_delta", "index": index, "delta": one}, "content_block_delta")
            for one in deltas
        ]
        events.append(sse({"type": "content_block_stop", "index": index}, "content_block_stop"))
    end = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    events.append(
        sse({"type": "message_delta", "delta": end, "usage": {"output_tokens": 5}}, "message_delta")
    )
    events.append(sse({"type": "message_stop"}, "message_stop"))
    return events
