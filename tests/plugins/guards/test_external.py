"""The guard that asks a service: what it sends, what its answers mean, what compiling refuses."""

import msgspec
import pytest
import trio

from archflow_plugins.contexts import Answered
from archflow_plugins.guards.asked import LONGEST
from archflow_plugins.guards.asked import OF_REQUESTS as MESSAGE
from archflow_plugins.guards.asked import body as written
from archflow_plugins.guards.external import HttpConfig, HttpGuard
from archflow_plugins.testing import compile_context, conversation, run_context
from archflow_plugins.verdict import ALLOW, Passed
from archflow_schema.conversation import Conversation, Message, TextPart, ToolResultPart
from archflow_schema.diagnostic import Report
from archflow_schema.errors import UpstreamProtocolError

ENVIRONMENT = {"KEY": "sk-canary"}


def judged(status, body=b"", content_type="application/json", *, sent=None, **config):
    async def fetch(method, url, headers, body_sent, timeout):
        await trio.lowlevel.checkpoint()
        if sent is not None:
            sent.append((method, url, dict(headers), msgspec.json.decode(body_sent), timeout))
        return Answered(status, content_type, (), body)

    async def check():
        settings = HttpConfig(**{"url": "http://guard.test:8000/judge", **config})
        compiled = HttpGuard.compile(settings, compile_context())
        guard = await HttpGuard.open(compiled, run_context(environment=ENVIRONMENT, fetch=fetch))
        return await guard.check(conversation("system: be kind", "user: hello"))

    return trio.run(check)


def test_what_the_service_gets():
    sent = []
    assert judged(204, sent=sent, headers=(("X-Key", "$KEY"),), timeout=2.0) == ALLOW
    [(method, url, headers, body, timeout)] = sent
    assert (method, url, timeout) == ("POST", "http://guard.test:8000/judge", 2.0)
    assert headers == {"content-type": "application/json", "x-key": "sk-canary"}
    assert body["messages"] == [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "hello"},
    ]


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (b'{"error": {"message": "a"}}', "application/json", "a"),
        (b'{"error": "b"}', "application/json", "b"),
        (b'{"message": "c", "detail": "d"}', "application/json", "c"),
        (b'{"detail": "d"}', "application/json", "d"),
        (b'{"detail": [1]}', "application/json", MESSAGE),
        (b"[]", "application/json", MESSAGE),
        (b" plain ", "text/plain; charset=utf-8", "plain"),
        (b"<html>", "text/html", MESSAGE),
        (b"\xff" * 2000, "text/plain", "\ufffd" * LONGEST + "..."),
        (b"", "", MESSAGE),
    ],
)
def test_a_refusal_denies_with_the_services_words(body, content_type, message):
    verdict = judged(403, body, content_type)
    assert (verdict.allow, verdict.message, verdict.score) == (False, message, 1.0)
    assert judged(422, body, content_type, message="ours").message == "ours"


@pytest.mark.parametrize("status", [500, 503, 302, 304])
def test_a_service_that_could_not_judge_has_failed(status):
    with pytest.raises(UpstreamProtocolError, match=f"status {status}"):
        judged(status, b'{"detail": "secret"}')


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"url": "guard.test"}, "invalid-url"),
        ({"url": "ftp://guard.test"}, "invalid-url"),
        ({"url": "http://guard.test:99999"}, "invalid-url"),
        ({"url": "http://guard.test", "timeout": 0}, "invalid-timeout"),
    ],
)
def test_what_compiling_refuses(config, code):
    report = Report()
    HttpGuard.compile(HttpConfig(**config), compile_context(report=report))
    assert [one.code for one in report] == [code]


def test_what_tools_answered_is_told_as_theirs():
    parts = (ToolResultPart("1", (TextPart("21 degrees"),)), TextPart("And tomorrow?"))
    asked = Conversation(
        messages=(Message(role="developer", parts=(TextPart("be kind"),)), Message(role="user", parts=parts))
    )
    assert msgspec.json.decode(written(asked))["messages"] == [
        {"role": "developer", "content": "be kind"},
        {"role": "tool", "content": "21 degrees"},
        {"role": "user", "content": "And tomorrow?"},
    ]


def test_an_answer_is_asked_about_behind_its_request():
    sent = []

    async def fetch(method, url, headers, body, timeout):
        await trio.lowlevel.checkpoint()
        sent.append(msgspec.json.decode(body)["messages"])
        return Answered(403 if b"no" in body else 204, "text/plain", (), b"")

    async def judge():
        guard = HttpGuard(
            HttpGuard.compile(HttpConfig(url="http://g"), compile_context()), run_context(fetch=fetch)
        )
        screens = guard.screens(lambda: conversation("user: hello"))
        return [
            await screens(channel).feed(text, end=True)
            for channel, text in (("text", "yes"), ("arguments", "no"))
        ]

    allowed, denied = trio.run(judge)
    assert allowed == (Passed(3),)
    assert (denied.allow, denied.message) == (False, "This answer was withheld.")
    assert sent[0] == [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "yes"}]
    assert sent[1][1] == {"role": "assistant", "content": "no"}
