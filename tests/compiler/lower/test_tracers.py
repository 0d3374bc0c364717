import msgspec
import pytest

from archflow_compiler.lower.tracers import _over_http
from compiling import HEAD, MODEL, codes, compiled, graph


def tracers(text):
    return [(use.kind, msgspec.msgpack.decode(use.compiled)) for use in graph(HEAD + MODEL + text).tracers]


def test_an_access_log_is_on_by_default():
    assert tracers("") == [("tracer.access_log", {"format": "json", "path": "stdout"})]
    assert tracers("access_log: {format: 'off'}\n") == []


def test_sampling_turns_otlp_on():
    (_, (kind, settings)) = tracers("tracing: {random_sampling: 5}\n")
    assert kind == "tracer.otlp"
    assert settings["endpoint"] == ["http://localhost:4318/v1/traces"]
    assert settings["sampling"] == 5.0


def test_every_exporter_and_the_older_endpoint_get_the_spans():
    found = tracers(
        "tracing:\n  random_sampling: 1\n  opentracing_grpc_endpoint: http://c:4317\n"
        "  exporters: [{type: otlp, endpoint: 'http://a'}, {type: otlp, endpoint: 'http://b'}]\n"
    )
    assert [settings["endpoint"] for _, settings in found[1:]] == [
        ["http://a"],
        ["http://b"],
        ["http://c:4318/v1/traces"],
    ]


def test_a_key_for_the_collector_is_kept_apart():
    outcome = compiled(
        HEAD
        + MODEL
        + "tracing: {random_sampling: 1, exporters: [{type: otlp, headers: {api-key: canary-0123456789}}]}\n"
    )
    assert outcome.secrets == {"tracing.exporters.0.headers.api-key": "canary-0123456789"}
    assert codes(outcome) == ["literal-secret"]
    assert next(iter(outcome.report)).range.line == 6


@pytest.mark.parametrize(
    ("grpc", "http"),
    [
        ("http://localhost:4317", "http://localhost:4318/v1/traces"),
        ("http://collector", "http://collector:4318/v1/traces"),
        ("https://collector:9999", "https://collector:9999/v1/traces"),
        ("http://[::1]:4317", "http://[::1]:4318/v1/traces"),
        ("http://$HOST:4317", "http://$HOST:4317/v1/traces"),
    ],
)
def test_where_a_collector_listens_for_http(grpc, http):
    assert _over_http(grpc) == http
