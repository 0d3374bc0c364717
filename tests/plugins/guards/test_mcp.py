"""The guard that asks a tool of an MCP server: what it is told, and what its answers mean."""

import msgspec
import pytest
import trio

from archflow_plugins.contexts import Answered
from archflow_plugins.guards.mcp import McpConfig, McpGuard
from archflow_plugins.testing import compile_context, conversation, run_context
from archflow_plugins.verdict import ALLOW, Passed
from archflow_schema.diagnostic import Report
from archflow_schema.errors import UpstreamProtocolError


def server(result, heard, status=200):
    """A server with one tool."""

    async def fetch(method, url, headers, body, timeout):
        await trio.lowlevel.checkpoint()
        said = msgspec.json.decode(body)
        if said["method"] == "tools/call":
            heard.append((url, said["params"]))
            told = {"jsonrpc": "2.0", "id": said["id"], **result}
            return Answered(status, "application/json", (), msgspec.json.encode(told))
        told = {"jsonrpc": "2.0", "id": said.get("id"), "result": {}}
        return Answered(200, "application/json", (("mcp-session-id", "s"),), msgspec.json.encode(told))

    return fetch


def text(said):
    return {"result": {"content": [{"type": "text", "text": said}]}}


def judged(result, *, answer=None, status=200, **config):
    heard = []

    async def check():
        settings = McpConfig(url="http://guard.test:8000", tool="judge", **config)
        context = run_context(fetch=server(result, heard, status))
        guard = McpGuard(McpGuard.compile(settings, compile_context()), context)
        asked = conversation("user: hello")
        if answer is None:
            return await guard.check(asked)
        return await guard.screens(lambda: asked)("text").feed(answer, end=True)

    return trio.run(check), heard


def test_what_the_tool_gets():
    verdict, heard = judged(text("{}"))
    assert verdict == ALLOW
    [(url, params)] = heard
    assert (url, params["name"], params["arguments"]["path"]) == (
        "http://guard.test:8000/mcp",
        "judge",
        "/v1/chat/completions",
    )
    assert params["arguments"]["body"]["messages"] == [{"role": "user", "content": "hello"}]


def test_an_answer_stands_behind_its_request():
    told, heard = judged(text("fine"), answer="Good day")
    assert told == (Passed(8),)
    assert heard[0][1]["arguments"]["body"]["messages"][1] == {"role": "assistant", "content": "Good day"}
    told, _ = judged(text('{"allow": false}'), answer="Good day")
    assert (told.allow, told.message) == (False, "This answer was withheld.")


@pytest.mark.parametrize(
    ("result", "message", "score"),
    [
        (text('{"allow": false, "message": "not that", "score": 0.5}'), "not that", 0.5),
        ({"result": {"structuredContent": {"result": {"allow": False}}}}, "This request was denied.", 1.0),
        ({"result": {"isError": True, "content": [{"text": "no"}]}}, "no", 1.0),
        (text('{"allow": false, "score": 7}'), "This request was denied.", 1.0),
    ],
)
def test_what_denies(result, message, score):
    verdict, _ = judged(result)
    assert (verdict.allow, verdict.message, verdict.score) == (False, message, score)
    assert judged(result, message="ours")[0].message == "ours"


@pytest.mark.parametrize("said", ["ok", "[1]", '{"messages": []}', '{"allow": true}'])
def test_what_allows(said):
    assert judged(text(said))[0] == ALLOW


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (text('{"allow": "no"}'), 200),
        ({"error": {"code": -32601, "message": "no such tool"}}, 200),
        ({"result": {"content": []}}, 200),
        (text("{}"), 500),
    ],
)
def test_what_is_no_answer_is_a_guard_that_failed(result, status):
    with pytest.raises(UpstreamProtocolError):
        judged(result, status=status)


def test_a_timeout_is_above_zero():
    report = Report()
    McpGuard.compile(McpConfig(url="http://g", tool="t", timeout=0), compile_context(report=report))
    assert [one.code for one in report] == ["invalid-timeout"]
