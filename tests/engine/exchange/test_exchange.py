"""One exchange: what goes upstream, what comes back, and what its record tells."""

from __future__ import annotations

import gzip
import re
from typing import NoReturn

import msgspec
import pytest

from archflow_plugins.dialects.anthropic_messages import AnthropicMessages
from archflow_plugins.dialects.anthropic_messages.decode_request import decode_request
from archflow_plugins.kinds import Head
from archflow_plugins.stores.memory import Memory
from archflow_schema.conversation import Conversation
from archflow_schema.graph import Quota, Use
from peers import CHAT, Asked, Client, reply
from playbook import KEY, QUOTAS, RED, Play, playing

pytestmark = pytest.mark.trio
TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


def fine(_: Asked) -> bytes:
    return reply({"id": "1"})


async def asked_with(play: Play, *headers: str, body: bytes | None = None, path: str = CHAT) -> Asked:
    """Ask once; what the upstream saw."""
    client = await play.client()
    await client.ask(body, headers=headers, path=path)
    asked = await play.upstream.asked()
    await asked.reply({"id": "1"})
    assert (await client.reply()).status == 200
    return asked


# What goes upstream.


async def test_only_the_model_of_a_body_changes() -> None:
    body = (
        b'{ "x-unknown" : [1.0, 1e400, "\\u00e9\\ud83d\\ude00", null] ,"model"\t:\t"m","messages":'
        b'[{"role":"user","content":"h\\u0065llo \xc3\xa9","odd":{"b":1,"a":2}}], "n": 12345678901234567890}'
    )
    async with playing() as play:
        asked = await asked_with(play, body=body)
        sent = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        came = msgspec.json.decode(asked.body, type=dict[str, msgspec.Raw])
        assert list(came) == list(sent)
        assert bytes(came.pop("model")) == b'"m-upstream"'
        del sent["model"]
        assert {name: bytes(raw) for name, raw in came.items()} == {
            name: bytes(raw) for name, raw in sent.items()
        }


async def test_a_body_whose_model_stays_is_not_touched() -> None:
    body = b' {"model" : "m-upstream" , "a":1}\n'
    async with playing(aliases={"m-upstream": "m"}) as play:
        assert (await asked_with(play, body=body)).body == body


@pytest.mark.parametrize(
    ("asked_for", "hint", "sent", "model", "reason"),
    [
        ("m", None, "m-upstream", "m", "name"),
        ("short", None, "n-upstream", "n", "alias"),
        ("any/thing/x", None, "thing/x", "any/*", "wildcard"),
        ("any/thing/deep/x", None, "x", "any/thing/deep/*", "wildcard"),
        ("", None, "m-upstream", "m", "default"),
        ("none", None, "m-upstream", "m", "default"),
        ("m", "n", "n-upstream", "n", "hint"),
        ("m", "short", "n-upstream", "n", "hint"),
        ("m", "any/other", "other", "any/*", "hint"),
        ("n", "nobody", "n-upstream", "n", "name, hint unknown"),
        ("", "nobody", "m-upstream", "m", "default, hint unknown"),
    ],
)
async def test_the_model_is_found(
    asked_for: str, hint: str | None, sent: str, model: str, reason: str
) -> None:
    models = {"m": 0, "n": 0, "any/*": 0, "any/thing/deep/*": 0}
    async with playing(models=models, aliases={"short": "n"}, default="m") as play:
        headers = (f"X-Arch-LLM-Provider-Hint: {hint}",) if hint is not None else ()
        asked = await asked_with(play, *headers, body=b'{"model":"%b"}' % asked_for.encode())
        assert asked.json["model"] == sent
        record = await play.record()
        assert (record.model_asked, record.model, record.model_sent) == (asked_for, model, sent)
        assert record.reason == reason


@pytest.mark.parametrize(("hint", "dropped"), [("n", None), ("nobody", "x-arch-llm-provider-hint")])
async def test_a_hint_that_is_passed_over_is_named_in_the_reply(hint: str, dropped: str | None) -> None:
    async with playing(models={"m": 0, "n": 0}) as play:
        client = await play.client()
        await client.ask({"model": "m"}, headers=(f"X-Arch-LLM-Provider-Hint: {hint}",))
        await (await play.upstream.asked()).reply({"fine": True})
        assert (await client.reply()).header("x-arch-dropped") == dropped


async def test_a_hint_that_is_passed_over_is_named_in_a_refusal() -> None:
    async with playing() as play:
        client = await play.client()
        answer = await client.talks({"model": "other"}, headers=("X-Arch-LLM-Provider-Hint: nobody",))
        assert (answer.status, answer.header("x-arch-dropped")) == (404, "x-arch-llm-provider-hint")
        assert (await play.record()).reason == "hint unknown"


async def test_a_request_that_names_no_model_gets_the_default() -> None:
    async with playing(default="m") as play:
        assert (await asked_with(play, body=b'{"a":1}')).json == {"a": 1, "model": "m-upstream"}


async def test_an_unknown_model_is_refused_with_the_close_ones() -> None:
    async with playing(models={"gpt-4o": 0, "gpt-4o-mini": 0, "claude": 0}) as play:
        client = await play.client()
        answer = await client.talks({"model": "gpt-4x"})
        assert (answer.status, answer.code) == (404, "model_not_found")
        assert "'gpt-4x' does not exist; did you mean gpt-4o" in answer.message
        assert "lists the models" in (await client.talks({"model": "zzzzzzzz"})).message
        nameless = await client.talks({})
        assert nameless.status == 404
        assert nameless.message == "no model specified in the request, and no default model is configured"
        record = await play.record()
        assert (record.error, record.attempts) == ("model_not_found", [])


async def test_an_unknown_model_may_go_to_the_default() -> None:
    async with playing(default="m", unknown="default") as play:
        assert (await asked_with(play, body=b'{"model":"nobody"}')).json["model"] == "m-upstream"
        assert (await play.record()).reason == "default"


FORWARDED = ("OpenAI-Organization: org", "X-Custom: a", "X-Custom: b", "User-Agent: me/1", "Accept: x/y")
DROPPED = (
    "Proxy-Authorization: x", "TE: trailers", "Keep-Alive: 5", "Proxy-Connection: x", "Trailer: X-T",
    "Cookie: a=b", "Authorization: Bearer sk-client", "X-API-Key: sk-client", "API-Key: sk-client",
    "X-Arch-State: x", "X-Arch-Anything: x", "X-Forwarded-For: 1.2.3.4", "Forwarded: for=x", "X-Real-IP: 1.2.3.4",
    "Origin: http://page", "Referer: http://page", "Expect: 100-continue",
)  # fmt: skip


async def test_headers_that_are_for_the_upstream_are_forwarded_and_no_others() -> None:
    nominated = ("Connection: X-Hop, close", "Connection: X-Other", "X-Hop: 1", "X-Other: 2")
    async with playing() as play:
        asked = await asked_with(play, *FORWARDED, *DROPPED, *nominated)
        names = [name.decode() for name, _ in asked.headers]
        for line in (*DROPPED, *nominated):
            name = line.split(":")[0].lower()
            assert name not in names or name == "authorization", name
        assert asked.header("authorization") == f"Bearer {KEY}"
        assert [value for name, value in asked.headers if name == b"x-custom"] == [b"a", b"b"]
        assert asked.header("openai-organization") == "org"
        assert asked.header("user-agent") == "me/1"
        assert asked.header("accept") == "x/y"
        assert asked.header("host") == f"127.0.0.1:{play.upstream.port}"
        assert asked.header("content-type") == "application/json"
        assert asked.header("content-length") == str(len(asked.body))
        assert len(names) == len(set(names)) + 1  # only x-custom is there twice


@pytest.mark.parametrize(
    "header", ["Authorization: Bearer sk-mine", "X-API-Key: sk-mine", "api-key: sk-mine"]
)
async def test_a_clients_own_key_may_be_passed_on(header: str) -> None:
    async with playing(upstream={"passthrough_auth": True, "access_key": ""}) as play:
        asked = await asked_with(play, header)
        assert asked.header("authorization") == "Bearer sk-mine"
        assert asked.header("x-api-key") is None


async def test_no_key_is_made_up_when_the_client_has_none() -> None:
    async with playing(upstream={"passthrough_auth": True, "access_key": ""}) as play:
        assert (await asked_with(play)).header("authorization") is None


async def test_extra_headers_and_a_host_of_the_configuration() -> None:
    async with playing(upstream={"headers": (("x-team", "red"),), "host": ("api.example.org",)}) as play:
        asked = await asked_with(play, "X-Team: blue")
        assert asked.header("x-team") == "red"
        assert asked.header("host") == "api.example.org"


async def test_a_query_string_is_forwarded() -> None:
    async with playing() as play:
        asked = await asked_with(play, path=f"{CHAT}?api-version=1&x=%20")
        assert asked.target == f"{CHAT}?api-version=1&x=%20"
        assert (await play.record()).path == CHAT


@pytest.mark.parametrize(
    ("offered", "asked_for"),
    [("gzip, br, zstd", "gzip, deflate"), ("br", "identity"), ("*", "identity")],
)
async def test_only_codings_that_can_be_read_are_asked_for(offered: str, asked_for: str) -> None:
    async with playing() as play:
        assert (await asked_with(play, f"Accept-Encoding: {offered}")).header("accept-encoding") == asked_for


async def test_no_coding_is_asked_for_unasked() -> None:
    async with playing() as play:
        assert (await asked_with(play)).header("accept-encoding") is None


async def test_compressed_requests_are_refused() -> None:
    async with playing() as play:
        client = await play.client()
        answer = await client.talks(gzip.compress(b"{}"), headers=("Content-Encoding: gzip",))
        assert (answer.status, answer.code) == (415, "unsupported_encoding")
        assert (await client.talks(b"[]", headers=("Content-Encoding: identity",))).status == 400


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "is empty"),
        (b"[]", "must be a JSON object"),
        (b'{"model":1}', "`model` must be a string"),
        (b'{"model":"m","stream":"yes"}', "`stream` must be true or false"),
        (b'{"model":"m"', "ends too early"),
        (b'{"model":"m"}}', "not valid JSON"),
        (b'{"model":"m","x":' + b"[" * 50_000 + b"]" * 50_000 + b"}", "nested too deeply"),
    ],
)
async def test_a_body_that_is_no_request_is_refused(body: bytes, complaint: str) -> None:
    async with playing() as play:
        client = await play.client()
        answer = await client.talks(body)
        assert (answer.status, answer.code) == (400, "invalid_request")
        assert complaint in answer.message
        assert (await client.talks(method="GET", path="/healthz")).status == 200


@pytest.mark.parametrize("query", ["a b", "a\x7fb", "a\xe9b"])
async def test_a_query_cannot_break_the_upstreams_request_line(query: str) -> None:
    async with playing() as play:
        client = await play.client()
        answer = await client.talks(path=f"{CHAT}?{query}")
        assert answer.status == 400
        assert play.upstream.connections == []


async def test_a_dialect_that_the_upstream_does_not_speak() -> None:
    async with playing(upstream={"vendor": "groq"}) as play:
        client = await play.client()
        answer = await client.talks(path="/v1/embeddings")
        assert answer.status == 400
        assert answer.json["error"]["code"] == "unsupported_dialect"
        assert answer.message == (
            "the model 'm' cannot be asked in openai_embeddings: its upstream provider-0 speaks openai_chat; ask it at "
            "/v1/chat/completions, /v1/messages, /model/{model}/converse, /v1beta/models/{model}:generateContent"
        )
        assert (await play.record()).error == "unsupported_dialect"


# Ids.


async def test_ids_are_made() -> None:
    async with playing() as play:
        asked = await asked_with(play)
        record = await play.record()
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", record.request_id)
        assert asked.header("x-request-id") == record.request_id
        trace = re.fullmatch(r"00-([0-9a-f]{32})-([0-9a-f]{16})-00", asked.header("traceparent") or "")
        assert trace is not None
        assert trace[1] == record.trace_id
        assert trace[2] == record.attempts[0].span_id != record.span_id
        assert record.parent_span_id == ""


async def test_ids_are_taken() -> None:
    async with playing() as play:
        asked = await asked_with(
            play, "X-Request-ID: mine-1", f"traceparent: 00-{TRACE}-{SPAN}-01", "tracestate: a=b"
        )
        record = await play.record()
        assert asked.header("x-request-id") == record.request_id == "mine-1"
        assert (record.trace_id, record.parent_span_id, record.sampled) == (TRACE, SPAN, True)
        assert record.trace_state == "a=b"
        assert asked.header("tracestate") == "a=b"


@pytest.mark.parametrize("traced", [True, False])
async def test_an_upstream_is_told_of_a_span_only_if_somebody_records_it(traced: bool) -> None:
    async with playing(tracers=(Use("tracer.play_sampler"),) * traced + (Use("tracer.play"),)) as play:
        play.scene.sample = lambda record: True
        asked = await asked_with(play, f"traceparent: 00-{TRACE}-{SPAN}-01")
        record = await play.record()
        told = record.attempts[0].span_id if traced else SPAN
        assert asked.header("traceparent") == f"00-{TRACE}-{told}-01"


@pytest.mark.parametrize("bad", ["nonsense", f"00-{'0' * 32}-{SPAN}-01", f"ff-{TRACE}-{SPAN}-01", ""])
async def test_a_bad_trace_context_is_replaced_with_its_state(bad: str) -> None:
    async with playing() as play:
        asked = await asked_with(play, f"traceparent: {bad}", "tracestate: a=b")
        record = await play.record()
        assert TRACE != record.trace_id != "0" * 32
        assert (record.parent_span_id, record.trace_state) == ("", "")
        assert (asked.header("traceparent") or "").startswith(f"00-{record.trace_id}-")
        assert asked.header("tracestate") is None


@pytest.mark.parametrize("bad", ["a b", "x" * 201, "caf\xe9"])
async def test_a_bad_request_id_is_replaced(bad: str) -> None:
    async with playing() as play:
        asked = await asked_with(play, f"X-Request-ID: {bad}")
        assert asked.header("x-request-id") != bad


async def test_sampling_is_a_tracers_decision() -> None:
    async with playing(tracers=(Use("tracer.play_sampler"), Use("tracer.play"))) as play:
        play.scene.sample = lambda record: record.path == CHAT
        asked = await asked_with(play, f"traceparent: 00-{TRACE}-{SPAN}-00")
        assert (asked.header("traceparent") or "").endswith("-01")
        assert (await play.record()).sampled


async def test_a_tracer_that_raises_costs_no_request_anything() -> None:
    def fail(_: object) -> NoReturn:
        raise RuntimeError("no")

    async with playing(tracers=(Use("tracer.play_sampler"), Use("tracer.play"))) as play:
        play.scene.sample = fail
        play.scene.tell = fail
        await asked_with(play)
        await asked_with(play)
        play.trouble = 2  # each tracer is complained of once


# What comes back.


async def test_status_headers_and_body_come_back_unchanged() -> None:
    body = b'{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}\n'
    theirs = (
        "Retry-After: 7", "x-ratelimit-remaining-tokens: 0", "X-Request-Id: req_theirs", "openai-version: 2020",
        "x-two: 1", "x-two: 2", "content-type: application/json; charset=utf-8",
    )  # fmt: skip
    private = (
        "Set-Cookie: a=b", "Alt-Svc: h3", "Strict-Transport-Security: max-age=1", "Keep-Alive: timeout=5",
        "Connection: keep-alive",
    )  # fmt: skip
    async with playing() as play:
        client = await play.client()
        await client.ask()
        await (await play.upstream.asked()).reply(body, status=429, headers=theirs + private)
        answer = await client.reply()
        assert (answer.status, answer.body) == (429, body)
        for line in theirs:
            name, value = line.lower().split(": ")
            assert value in [v.decode().lower() for n, v in answer.headers if n == name.encode()]
        for line in private:
            assert answer.header(line.split(":")[0].lower()) is None
        record = await play.record()
        assert (record.status, record.error) == (429, "upstream_429")
        assert answer.header("x-request-id") == "req_theirs"
        assert answer.header("x-arch-request-id") == record.request_id


async def test_what_an_upstream_says_to_this_hop_stays_here() -> None:
    async with playing() as play:
        client = await play.client()
        for _ in range(2):  # the second one as a head like the first
            await client.ask()
            headers = ("X-Node: 7", "Connection: keep-alive, X-Node,x-hint", "x-hint: 1", "x-end: 1")
            await (await play.upstream.asked()).reply(b"{}", headers=headers)
            answer = await client.reply()
            shown = {name for name, _ in answer.headers}
            assert b"x-end" in shown
            assert not shown & {b"x-node", b"x-hint", b"connection"}


async def test_a_browser_may_read_the_reply() -> None:
    async with playing() as play:
        play.upstream.script = fine
        client = await play.client()
        answer = await client.talks(headers=("Origin: http://page",))
        assert answer.header("access-control-allow-origin") == "*"
        refused = await client.talks({"model": "nobody"}, headers=("Origin: http://page",))
        assert refused.header("access-control-allow-origin") == "*"
        assert (await client.talks()).header("access-control-allow-origin") is None


async def test_an_options_request_tells_what_a_browser_may_do() -> None:
    async with playing() as play:
        client = await play.client()
        answer = await client.talks(method="OPTIONS", path=CHAT, headers=("Origin: http://page",))
        assert (answer.status, answer.body) == (204, b"")
        assert answer.header("access-control-allow-methods") == "GET, POST, DELETE, OPTIONS"
        assert answer.header("access-control-allow-origin") == "*"


async def test_the_listener_answers_what_no_node_serves() -> None:
    async with playing(models={"m": 0, "n": 0, "any/*": 0}) as play:
        client = await play.client()
        models = (await client.talks(method="GET", path="/v1/models")).json
        assert [model["id"] for model in models["data"]] == ["m", "n"]
        assert (await client.talks(method="GET", path="/v1/models/n")).json["id"] == "n"
        missing = await client.talks(method="GET", path="/v1/models/x")
        assert (missing.status, missing.code) == (404, "model_not_found")
        wrong = await client.talks(method="GET", path=CHAT)
        assert (wrong.status, wrong.header("allow")) == (405, "POST, OPTIONS")
        assert (await client.talks(method="POST", path="/healthz")).header("allow") == "GET, HEAD, OPTIONS"
        nowhere = await client.talks(method="GET", path="/v2/x")
        assert nowhere.status == 404
        assert f"this listener serves {CHAT}" in nowhere.message


FRAMES = {
    "length": b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n" + b'{"id":1}',
    "chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n"
    b'{"i\r\n5\r\nd":1}\r\n0\r\nX-T: 1\r\n\r\n',
    "interim": b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"
    b'content-length: 8\r\n\r\n{"id":1}',
}


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
async def test_every_framing_of_a_reply_is_relayed(frame: str, bytewise: bool) -> None:
    async with playing() as play:
        client = await play.client()
        for _ in range(2):
            await client.ask()
            asked = await play.upstream.asked()
            if bytewise:
                for at in range(len(FRAMES[frame])):
                    await asked.connection.send(FRAMES[frame][at : at + 1])
            else:
                await asked.connection.send(FRAMES[frame])
            answer = await client.reply()
            assert (answer.status, answer.body, answer.interim) == (200, b'{"id":1}', [])
        assert len(play.upstream.connections) == 1


async def test_a_reply_that_ends_with_its_connection() -> None:
    async with playing() as play:
        client = await play.client()
        for number in (1, 2):
            await client.ask()
            asked = await play.upstream.asked()
            await asked.connection.send(b"HTTP/1.1 200 OK\r\n\r\n" + b'{"id":')
            answer = await client.begins()
            await client.reads(b'{"id":')
            await asked.connection.send(b"1}")
            await asked.connection.close()
            assert (await client.rest(answer)).body == b"1}"
            assert not answer.cut
            assert len(play.upstream.connections) == number


async def test_a_reply_of_http_10_closes_its_connection() -> None:
    async with playing() as play:
        play.upstream.script = lambda _: b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"
        client = await play.client()
        for number in (1, 2):
            assert (await client.talks()).body == b"{}"
            assert len(play.upstream.connections) == number


@pytest.mark.parametrize("status", [204, 304])
async def test_a_reply_without_a_body(status: int) -> None:
    async with playing() as play:
        play.upstream.script = lambda _: b"HTTP/1.1 %d X\r\nx-a: b\r\n\r\n" % status
        client = await play.client()
        for _ in range(2):
            answer = await client.talks()
            assert (answer.status, answer.body, answer.header("x-a")) == (status, b"", "b")
        assert len(play.upstream.connections) == 1


async def test_an_empty_reply() -> None:
    async with playing() as play:
        play.upstream.script = lambda _: b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
        client = await play.client()
        answer = await client.talks()
        assert (answer.status, answer.body, answer.header("content-length")) == (200, b"", "0")


async def test_a_reason_that_nobody_knows() -> None:
    async with playing() as play:
        play.upstream.script = lambda _: b"HTTP/1.1 599 \r\ncontent-length: 0\r\n\r\n"
        assert (await (await play.client()).talks()).status == 599


async def test_the_record_tells_what_the_reply_told() -> None:
    told = {
        "id": "chatcmpl-1", "model": "m-2024", "choices": [{"finish_reason": "stop"}], "usage": USAGE,
    }  # fmt: skip
    async with playing() as play:
        play.upstream.script = lambda _: reply(told)
        client = await play.client()
        answer = await client.talks({"model": "m"}, headers=("User-Agent: me/1", "X-Forwarded-For: 1.2.3.4"))
        record = await play.record()
        assert record.usage is not None
        assert (record.usage.input_tokens, record.usage.output_tokens) == (11, 7)
        assert (record.finish_reason, record.response_model) == ("stop", "m-2024")
        assert (record.response_id, record.user_agent) == ("chatcmpl-1", "me/1")
        assert (record.listener, record.method, record.path) == ("egress-127.0.0.1", "POST", CHAT)
        assert (record.protocol, record.dialect) == ("HTTP/1.1", "openai_chat")
        assert record.client.startswith("127.0.0.1:")
        assert (record.authority, record.forwarded_for) == ("gateway.test", "1.2.3.4")
        assert record.bytes_received == len(b'{"model":"m"}')
        assert record.bytes_sent == len(answer.body)
        assert 0 <= record.first_byte <= record.duration
        (attempt,) = record.attempts
        assert (attempt.provider, attempt.upstream) == ("openai", "provider-0")
        assert attempt.address == f"127.0.0.1:{play.upstream.port}"
        assert (attempt.outcome, attempt.status, attempt.reused) == ("streaming", 200, False)
        assert 0 <= attempt.began <= attempt.first_byte <= attempt.ended <= record.duration
        await client.talks()
        assert (await play.record()).attempts[0].reused


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_compressed_reply_passes_untouched_and_is_read(coding: str) -> None:
    import zlib

    plain = msgspec.json.encode({"id": "1", "usage": USAGE})
    packed = gzip.compress(plain) if coding == "gzip" else zlib.compress(plain)
    async with playing() as play:
        play.upstream.script = lambda _: reply(packed, headers=(f"Content-Encoding: {coding}",))
        client = await play.client()
        answer = await client.talks(headers=("Accept-Encoding: gzip",))
        assert (answer.body, answer.header("content-encoding")) == (packed, coding)
        usage = (await play.record()).usage
        assert usage is not None
        assert usage.output_tokens == 7


async def test_a_reply_in_an_unknown_coding_tells_nothing() -> None:
    async with playing() as play:
        play.upstream.script = lambda _: reply(b"\x01\x02", headers=("Content-Encoding: br",))
        answer = await (await play.client()).talks()
        assert answer.body == b"\x01\x02"
        assert (await play.record()).usage is None


async def test_a_reply_that_is_no_gzip_after_all() -> None:
    async with playing() as play:
        play.upstream.script = lambda _: reply(b"plain", headers=("Content-Encoding: gzip",))
        assert (await (await play.client()).talks()).body == b"plain"


# Streams.


async def stream(play: Play, client: Client, *headers: str) -> Asked:
    await client.ask({"model": "m", "stream": True}, headers=headers)
    return await play.upstream.asked()


async def test_a_stream_is_relayed_as_it_comes() -> None:
    async with playing() as play:
        client = await play.client()
        asked = await stream(play, client)
        await asked.stream()
        answer = await client.begins()
        assert answer.header("content-type") == "text/event-stream"
        for number in range(20):
            event = b'data: {"number":%d}\n\n' % number
            await asked.more(event)
            assert await client.reads(event) == event
        await asked.more(b'data: {"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}\n\n')
        await asked.more(b"data: [DONE]\n\n")
        await asked.end()
        assert (await client.rest(answer)).body.endswith(b"data: [DONE]\n\n")
        record = await play.record()
        assert record.stream
        assert record.usage is not None
        assert record.usage.output_tokens == 4
        assert (await client.talks(method="GET", path="/healthz")).status == 200


async def test_an_event_may_be_cut_anywhere() -> None:
    async with playing() as play:
        client = await play.client()
        asked = await stream(play, client)
        await asked.stream()
        answer = await client.begins()
        event = b'data: {"id":"x1","model":"y","usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n'
        for at in range(len(event)):
            await asked.more(event[at : at + 1])
            await client.reads(event[at : at + 1])
        await asked.end()
        assert not (await client.rest(answer)).cut
        record = await play.record()
        assert record.usage is not None
        assert (record.response_id, record.usage.input_tokens) == ("x1", 3)


async def test_a_stream_with_a_length() -> None:
    async with playing() as play:
        play.upstream.script = lambda _: reply(b"data: 1\n\n", headers=("content-type: text/event-stream",))
        answer = await (await play.client()).talks({"model": "m", "stream": True})
        assert (answer.body, answer.header("content-length")) == (b"data: 1\n\n", "9")


# Limits.


async def test_a_quota_is_charged_settled_and_refused() -> None:
    async with playing(quotas=QUOTAS) as play:
        client = await play.client()
        play.upstream.script = lambda _: reply({"usage": {"prompt_tokens": 50, "completion_tokens": 45}})
        words = {"model": "m", "messages": [{"role": "user", "content": "x" * 40}]}
        assert (await client.talks(words, headers=RED)).status == 200
        answer = await client.talks(words, headers=RED)
        assert (answer.status, answer.code) == (429, "rate_limit_exceeded")
        assert 1 <= int(answer.header("retry-after") or 0) <= 4
        assert "selector=x-team: red" in answer.message
        assert (await client.talks(words, headers=("X-Team: red",))).status == 200  # no selector, no limit
        blue = ("X-Arch-Ratelimit-Selector: x-team", "X-Team: blue")
        assert (await client.talks(words, headers=blue)).status == 200
        records = [await play.record() for _ in range(4)]
        assert [record.status for record in records] == [200, 429, 200, 200]
        assert 'archflow_ratelimited_total{model="m"} 1' in play.metrics


async def test_a_request_with_a_quota_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def decode(head: Head) -> Conversation:
        read.append(head)
        return decode_request(head)

    monkeypatch.setattr(AnthropicMessages, "decode", staticmethod(decode))
    async with playing(quotas=QUOTAS) as play:
        play.upstream.script = lambda _: reply({"choices": [{"message": {"content": "ho"}}]})
        words = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x" * 40}]}
        answer = await (await play.client()).talks(words, path="/v1/messages", headers=RED)
        assert answer.status == 200
        assert len(read) == 1


async def test_a_quota_without_a_value_is_one_bucket_each() -> None:
    async with playing(quotas=QUOTAS) as play:
        play.upstream.script = lambda _: reply({"usage": {"prompt_tokens": 99, "completion_tokens": 1}})
        client = await play.client()
        for user in ("ann", "bob"):
            headers = ("X-Arch-Ratelimit-Selector: x-user", f"X-User: {user}")
            assert (await client.talks(headers=headers)).status == 200
            assert (await client.talks(headers=headers)).status == 429


@pytest.mark.parametrize(
    ("header", "value", "shown"),
    [("authorization", "Bearer canary-of-a-client", "***"), ("x-user", "u" * 5000, "u" * 5000)],
)
async def test_what_tells_clients_apart_may_be_secret_or_long(header: str, value: str, shown: str) -> None:
    async with playing(quotas=(Quota(header, "", 100, 60),)) as play:
        play.upstream.script = lambda _: reply({"usage": {"prompt_tokens": 99, "completion_tokens": 1}})
        client = await play.client()
        headers = (f"X-Arch-Ratelimit-Selector: {header}", f"{header}: {value}")
        assert (await client.talks(headers=headers)).status == 200
        answer = await client.talks(headers=headers)
        assert (answer.status, f"selector={header}: {shown}, " in answer.message) == (429, True)
        other = (headers[0], f"{header}: {value}2")
        assert (await client.talks(headers=other)).status == 200  # a bucket of its own
        records = [await play.record() for _ in range(3)]
        assert "canary" not in str(records)
        buckets = next(kind for kind in play.plan.kinds if isinstance(kind, Memory))._full_at
        assert len(buckets) == 2
        assert all(len(key) < 200 and "canary" not in key for key in buckets)


async def test_a_request_larger_than_its_quota_has_no_time_to_come_again() -> None:
    async with playing(quotas=QUOTAS) as play:
        client = await play.client()
        words = {"model": "m", "messages": [{"role": "user", "content": "x" * 4000}]}
        answer = await client.talks(words, headers=RED)
        assert (answer.status, answer.header("retry-after")) == (429, None)


@pytest.mark.parametrize("store", ["store.memory", "store.play_far"])
async def test_what_no_model_served_is_given_back(store: str) -> None:
    async with playing(quotas=QUOTAS, store=store) as play:
        client = await play.client()
        words = {"model": "m", "messages": [{"role": "user", "content": "x" * 380}]}
        for status in (500, 503, 200):
            await client.ask(words, headers=RED)
            await (await play.upstream.asked()).reply(b"{}", status=status)
            assert (await client.reply()).status == status
        assert (await client.talks(words, headers=RED)).status == 429


async def test_a_far_store_settles() -> None:
    async with playing(quotas=QUOTAS, store="store.play_far") as play:
        client = await play.client()
        play.upstream.script = lambda _: reply({"usage": {"prompt_tokens": 1, "completion_tokens": 0}})
        words = {"model": "m", "messages": [{"role": "user", "content": "x" * 300}]}
        for _ in range(5):
            assert (await client.talks(words, headers=RED)).status == 200


async def test_a_far_store_that_fails_is_an_internal_error() -> None:
    async with playing(quotas=QUOTAS, store="store.play_far") as play:

        async def fail() -> None:
            raise RuntimeError("away")

        play.scene.store = fail
        answer = await (await play.client()).talks(headers=RED)
        assert (answer.status, answer.code) == (500, "internal_error")
        play.trouble = 1
