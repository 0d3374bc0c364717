"""Invariant: whatever bytes a configuration holds, compiling gives a graph or at least one error, and never raises.

Three ways in: bytes from nowhere, texts made of YAML's own characters, and good configurations with something broken.
"""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from archflow_compiler.driver import compile_bytes
from archflow_compiler.render import github, json, sarif, text

STEADY = settings(derandomize=True, deadline=None, max_examples=150)

GOOD = """\
version: v0.4.0
listeners:
  - name: llm
    type: model
    timeout: 30s
    limits: {body: 1MiB}
    guards: [{kind: length}]
  - {name: chat, type: prompt, port: 1}
model_providers:
  - &first
    model: openai/gpt-4o
    access_key: $OPENAI_API_KEY
    headers: {x-a: b}
    routing_preferences: [{name: a, description: b}]
  - <<: *first
    model: custom/*
    base_url: http://${HOST}/v1
    provider_interface: openai
    default: true
model_aliases: {fast: {target: gpt-4o}}
ratelimits: [{model: fast, selector: {key: x-user}, limit: {tokens: 1, unit: day}}]
endpoints: {a: {endpoint: [h:1, i]}}
prompt_targets:
  - {name: t, description: d, endpoint: {name: a, path: "/{x}"}, parameters: [{name: x, description: y, type: int}]}
tracing: {random_sampling: 3, exporters: [{type: otlp}], span_attributes: {static: {a: 1}}}
routing: {unknown_model: default, llm_provider: x}
plugins: {none: '*'}
"""
LINES = GOOD.splitlines(keepends=True)


def holds(data: bytes) -> None:
    outcome = compile_bytes("arch_config.yaml", data)
    assert (outcome.graph is None) == outcome.report.failed
    assert bool(outcome.data) == (outcome.graph is not None)
    for rendered in (
        text(outcome.report, outcome.source),
        json(outcome.report),
        sarif(outcome.report, "0"),
        github(outcome.report),
    ):
        rendered.encode()
    for found in outcome.report:
        if found.range is not None:
            assert found.range.line >= 1
            assert found.range.column >= 1
            assert (found.range.end_line, found.range.end_column) > (found.range.line, found.range.column)


@STEADY
@given(st.binary(max_size=200))
@example(b"\xff\xfe")
@example(b"\xef\xbb\xbf")
def test_any_bytes(data):
    holds(data)


@STEADY
@given(st.text(alphabet="ab:-?,[]{}&*!|>'\"%@` #\n\t\r$~<=0.1\\uD8x", max_size=60))
@example("? - : -\n")
@example("a: &a [*a]")
@example("<<: *x")
@example("{<<: {<<: {a: b}}}")
def test_the_characters_of_yaml(data):
    holds(data.encode())


PLAIN = "~ 3 -1 1.5 yes true [] {} [[]] {a: b} $X ${Y} '$' a/b * x/* 30s 1MiB http://h ftp://h http://[ *first !t &a"
ODD = [
    "",
    '"\\uD800"',
    '"\\0"',
    "9" * 20,
    "&a b",
    "\0",
    "\U0001f600",
    "9" * 400,
    "1e999",
    "'" + "x" * 300 + "'",
]
WORDS = st.sampled_from(PLAIN.split(" ") + ODD)


@STEADY
@given(
    st.lists(
        st.tuples(
            st.integers(0, len(LINES) - 1),
            st.sampled_from(["drop", "double", "value", "indent", "key"]),
            WORDS,
        ),
        min_size=1,
        max_size=4,
    )
)
def test_a_good_configuration_with_something_broken(changes):
    lines = list(LINES)
    for at, how, word in changes:
        line = lines[at]
        key, colon, _ = line.partition(":")
        lines[at] = {
            "drop": "",
            "double": line + line,
            "value": f"{key}{colon} {word}\n",
            "indent": " " + line,
            "key": line.replace(key.strip(), word, 1),
        }[how]
    holds("".join(lines).encode())
