"""The OTLP tracer against a collector of a few lines, a closed port and a collector that never answers."""

import gzip
import socket

import pytest
import trio
from msgspec import structs
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from archflow_plugins.record import Attempt, Decision, Record
from archflow_plugins.registry import Registry
from archflow_plugins.testing import compile_context, record, run_context
from archflow_plugins.tracers.otlp import PATIENCE, Otlp, OtlpConfig, load_names
from archflow_plugins.tracers.otlp_export import QUEUED_AT_MOST
from archflow_schema.diagnostic import Report
from archflow_schema.errors import ArchflowError
from archflow_schema.events import Usage
from archflow_schema.text import Env

TRACE, SERVER, CLIENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "00f067aa0ba902b8"


class Collector:
    """Takes exports over HTTP/1.1. Its first export wakes whoever waits for `arrived`."""

    def __init__(self, *, silent: bool = False) -> None:
        self.silent = silent
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.requests: list[ExportTraceServiceRequest] = []
        self.arrived = trio.Event()
        self.url = ""

    async def serve(self, task_status=trio.TASK_STATUS_IGNORED) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        await trio.serve_listeners(self._connection, listeners, task_status=task_status)

    async def _connection(self, stream: trio.SocketStream) -> None:
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                more = await stream.receive_some()
                if not more:
                    return
                data += more
            head, _, data = data.partition(b"\r\n\r\n")
            first, *lines = head.decode().split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
            }
            length = int(headers["content-length"])
            while len(data) < length:
                data += await stream.receive_some()
            body, data = data[:length], data[length:]
            if headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            self.paths.append(first.split()[1])
            self.headers.append(headers)
            self.requests.append(ExportTraceServiceRequest.FromString(body))
            self.arrived.set()
            if self.silent:
                await trio.sleep_forever()
            await stream.send_all(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"
            )

    @property
    def spans(self) -> list[Span]:
        return [span for one in self.requests for resource in one.resource_spans for scope in resource.scope_spans
                for span in scope.spans]  # fmt: skip


async def opened(environment=None, **config) -> Otlp:
    compiled = Otlp.compile(OtlpConfig(**config), compile_context())
    return await Otlp.open(compiled, run_context(environment=environment))


def attributes(span: Span) -> dict[str, object]:
    def value(one):
        kind = one.WhichOneof("value")
        return (
            [value(item) for item in one.array_value.values] if kind == "array_value" else getattr(one, kind)
        )

    return {one.key: value(one.value) for one in span.attributes}


async def exported(*records: Record, **config) -> Collector:
    async with trio.open_nursery() as nursery:
        collector = Collector()
        await nursery.start(collector.serve)
        tracer = await opened(endpoint=collector.url, **config)
        for one in records:
            tracer.finish(one)
        await tracer.close()
        assert tracer.dropped == 0
        nursery.cancel_scope.cancel()
    return collector


@pytest.mark.trio
async def test_a_span_says_who_denied():
    denied = record(sampled=True, guards=[("guard a", "deny")], denied_by="a", denied_score=0.75, attempts=[])
    [server] = (await exported(denied)).spans
    found = attributes(server)
    assert (found["arch.guards"], found["arch.guard.denied_by"]) == (["guard a=deny"], "a")
    assert found["arch.guard.score"] == pytest.approx(0.75)


@pytest.mark.trio
async def test_a_server_span_and_a_client_span_below_it():
    usage = Usage(input_tokens=10, output_tokens=5, cached_tokens=4, reasoning_tokens=2)
    collector = await exported(
        record(
            sampled=True,
            parent_span_id="00f067aa0ba902aa",
            trace_state="vendor=1",
            usage=usage,
            finish_reason="stop",
            response_model="gpt-4o-2024",
            response_id="chatcmpl-1",
            guards=[("length", "allow")],
        ),
        service_name="gate",
        attributes=(("team", "blue"),),
    )
    assert collector.paths == ["/v1/traces"]
    server, client = collector.spans
    assert (server.name, client.name) == ("POST /v1/chat/completions", "chat gpt-4o")
    assert (server.kind, client.kind) == (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT)
    assert {server.trace_id.hex(), client.trace_id.hex()} == {TRACE}
    assert (server.span_id.hex(), server.parent_span_id.hex()) == (SERVER, "00f067aa0ba902aa")
    assert (client.span_id.hex(), client.parent_span_id.hex()) == (CLIENT, SERVER)
    assert server.trace_state == "vendor=1"
    start = 1_763_000_000_000_000_000
    assert (server.start_time_unix_nano, server.end_time_unix_nano) == (start, start + 500_000_000)
    assert (client.start_time_unix_nano, client.end_time_unix_nano) == (
        start + 1_000_000,
        start + 500_000_000,
    )
    assert attributes(server) == {
        "team": "blue",
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "url.path": "/v1/chat/completions",
        "http.response.status_code": 200,
        "http.request.body.size": 1024,
        "http.response.body.size": 472,
        "network.protocol.version": "1.1",
        "client.address": "192.0.2.2",
        "arch.listener": "egress_traffic",
        "arch.request.id": "6ba7b810-9dad-41d1-80b4-00c04fd430c8",
        "arch.model.asked": "gpt-4o",
        "arch.model": "openai/gpt-4o",
        "arch.route.reason": "name",
        "arch.guards": ["length=allow"],
    }
    found = attributes(client)
    assert found.pop("gen_ai.response.time_to_first_chunk") == pytest.approx(0.199)
    assert found == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.request.stream": False,
        "server.address": "192.0.2.1",
        "server.port": 443,
        "http.response.status_code": 200,
        "arch.upstream": "openai/gpt-4o",
        "arch.attempt.number": 1,
        "arch.attempt.outcome": "streaming",
        "arch.connection.reused": False,
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": "gpt-4o-2024",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.reasoning.output_tokens": 2,
    }
    resource = {
        one.key: one.value.string_value for one in collector.requests[0].resource_spans[0].resource.attributes
    }
    assert resource["service.name"] == "gate"


@pytest.mark.trio
async def test_failed_attempts_are_spans_too():
    refused = Attempt(
        provider="a", address="[::1]:80", span_id="1" * 16, began=0.0, ended=0.1, outcome="refused"
    )
    answered = Attempt(
        provider="b",
        address="h:81",
        span_id="2" * 16,
        began=0.1,
        first_byte=0.2,
        status=429,
        outcome="streaming",
    )
    collector = await exported(
        record(sampled=True, status=503, error="upstream_429", attempts=[refused, answered])
    )
    server, first, second = collector.spans
    assert [span.status.code for span in (server, first, second)] == [2, 2, 2]
    assert attributes(server)["error.type"] == "upstream_429"
    assert attributes(first)["error.type"] == "refused"
    assert (attributes(first)["server.address"], attributes(first)["server.port"]) == ("::1", 80)
    assert "http.response.status_code" not in attributes(first)
    assert attributes(second)["error.type"] == "429"
    assert [attributes(span)["arch.attempt.number"] for span in (first, second)] == [1, 2]
    assert first.parent_span_id == second.parent_span_id == server.span_id
    assert second.end_time_unix_nano == server.end_time_unix_nano


@pytest.mark.trio
async def test_a_request_to_nowhere_has_no_route_and_no_parent():
    nowhere = record(sampled=True, dialect="", path="/admin.php", status=404, attempts=[])
    (span,) = (await exported(nowhere)).spans
    assert (span.name, span.parent_span_id) == ("POST", b"")
    assert "http.route" not in attributes(span)
    assert span.status.code == 0


@pytest.mark.trio
async def test_what_is_not_sampled_is_not_sent():
    collector = await exported(record(sampled=False), record(sampled=True, span_id="a" * 16))
    assert [span.span_id.hex() for span in collector.spans] == ["a" * 16, CLIENT]


@pytest.mark.trio
async def test_headers_come_from_the_environment():
    async with trio.open_nursery() as nursery:
        collector = Collector()
        await nursery.start(collector.serve)
        tracer = await opened(
            {"TOKEN": "t-1\n", "WHERE": f"{collector.url}/otlp/traces"},
            endpoint="$WHERE",
            headers=(("Authorization", "Bearer $TOKEN"),),
        )
        tracer.finish(record(sampled=True))
        await tracer.close()
        nursery.cancel_scope.cancel()
    assert collector.paths == ["/otlp/traces"]
    assert collector.headers[0]["authorization"] == "Bearer t-1"


def test_sampling_by_trace_id_honours_the_caller():
    compiled = Otlp.compile(OtlpConfig(sampling=25), compile_context())
    tracer = Otlp(compiled, run_context())
    ids = [f"{'0' * 16}{number * 2**52:016x}" for number in range(4096)]
    assert sum(tracer.sample(record(trace_id=one)) for one in ids) == 1024
    for sampled in (True, False):
        assert tracer.sample(record(trace_id=ids[-1], parent_span_id=CLIENT, sampled=sampled)) is sampled
    for percent, expected in ((0, False), (100, True)):
        all_or_none = Otlp(structs.replace(compiled, sampling=percent), run_context())
        assert all(all_or_none.sample(record(trace_id=one)) is expected for one in (ids[0], "f" * 32))


@pytest.mark.trio
async def test_a_closed_port_loses_traces_and_says_so_once():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    seen = []
    compiled = Otlp.compile(OtlpConfig(endpoint=f"http://127.0.0.1:{port}", timeout=0.2), compile_context())
    tracer = await Otlp.open(
        compiled, run_context(log=lambda event, **fields: seen.append((event, fields["level"])))
    )
    exporter = tracer._exporter
    assert exporter is not None
    for _ in range(3):
        tracer.finish(record(sampled=True))
    await tracer.close()
    assert exporter.dropped == 3
    assert seen == [("traces_not_delivered", "warning")]


@pytest.mark.trio
async def test_a_collector_that_never_answers_costs_no_request_anything():
    async with trio.open_nursery() as nursery:
        collector = Collector(silent=True)
        await nursery.start(collector.serve)
        tracer = await opened(endpoint=collector.url, timeout=30.0)
        exporter = tracer._exporter
        assert exporter is not None
        for _ in range(512):  # a whole batch wakes the thread at once
            tracer.finish(record(sampled=True))
        await collector.arrived.wait()
        for _ in range(2 * QUEUED_AT_MOST):
            tracer.finish(record(sampled=True))
        assert exporter.dropped >= QUEUED_AT_MOST
        with trio.fail_after(PATIENCE * 10):
            await tracer.close()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"endpoint": "collector:4318"}, "invalid-endpoint"),
        ({"sampling": 101}, "invalid-sampling"),
        ({"sampling": -1}, "invalid-sampling"),
        ({"timeout": 0}, "invalid-timeout"),
    ],
)
def test_mistakes(fields, code):
    report = Report()
    Otlp.compile(OtlpConfig(**fields), compile_context(report=report))
    assert [one.code for one in report] == [code]


def test_a_header_is_a_name_in_the_graph():
    compiled = Otlp.compile(OtlpConfig(headers=(("X-Key", "$TOKEN"),)), compile_context())
    assert compiled.headers == (("x-key", (Env("TOKEN"),)),)


@pytest.mark.trio
async def test_an_endpoint_from_the_environment_that_is_none():
    with pytest.raises(ArchflowError, match="no http or https URL"):
        await opened({"WHERE": "collector"}, endpoint="$WHERE")


def test_every_built_in_dialect_has_an_operation_name():
    operations = load_names()["operation"]
    for name, dialect in Registry.load().dialects().items():
        assert operations[name] == dialect.operation


@pytest.mark.trio
async def test_what_a_router_decided():
    decision = Decision(
        id="0af7",
        option="code",
        model="openai/gpt-4o",
        reason="ranked",
        confidence=0.5,
        seconds=0.25,
        switched=True,
    )
    server, client = (await exported(record(sampled=True, decisions=[decision]))).spans
    found = {name: value for name, value in attributes(server).items() if name.startswith("arch.route.")}
    assert found == {
        "arch.route.reason": "name",
        "arch.route.name": "code",
        "arch.route.model": "openai/gpt-4o",
        "arch.route.decision.id": "0af7",
        "arch.route.decision.reason": "ranked",
        "arch.route.decision.confidence": 0.5,
        "arch.route.decision.duration": 0.25,
        "arch.route.session.pinned": False,
        "arch.route.session.switched": True,
    }
    assert "arch.route.name" not in attributes(client)
