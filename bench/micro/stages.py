"""The stages: each prepares what it needs and gives a call to repeat.

Rule: preparation is not measured; what one call does is what one request (or chunk, or compile) does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import exchange

from archflow_compiler import driver
from archflow_engine import trace
from archflow_engine.metrics import Metrics
from archflow_engine.nodes.route import RouteNode
from archflow_engine.plan import BATCH
from archflow_engine.walk import Runner
from archflow_plugins.dialects.openai_chat import OpenAIChat
from archflow_plugins.kinds import Empty
from archflow_plugins.registry import Registry
from archflow_plugins.stores.memory import Memory, MemoryConfig
from archflow_plugins.testing import record, run_context
from archflow_plugins.tracers.access_log import AccessLog, AccessLogConfig
from archflow_schema import artifact
from archflow_schema.events import Usage
from archflow_schema.graph import Edge, Graph, Route

Work = Callable[[], object]


@dataclass(frozen=True)
class Stage:
    """A name, and a context manager that gives the call."""

    name: str
    prepare: Callable[[], AbstractContextManager[Work]]


SENTENCE = "The quick brown fox jumps over the lazy dog near the river bank. "
REPLY = (
    b'{"id":"chatcmpl-0123456789","object":"chat.completion","created":1735689600,"model":"gpt-4o-mini","choices":[{'
    b'"index":0,"message":{"role":"assistant","content":"Hello! This is a canned answer.","refusal":null},'
    b'"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":181,"completion_tokens":21,"total_tokens":202,'
    b'"prompt_tokens_details":{"cached_tokens":0}},"system_fingerprint":"fp_mock"}'
)
DELTA = (
    b'data: {"id":"chatcmpl-0123456789","object":"chat.completion.chunk","created":1735689600,"model":"gpt-4o-mini",'
    b'"system_fingerprint":"fp_mock","choices":[{"index":0,"delta":{"content":" tok001"},"logprobs":null,'
    b'"finish_reason":null}]}\n\n'
)


def body(size: int) -> bytes:
    """A chat request of about `size` bytes."""
    text = SENTENCE * ((size - 200) // len(SENTENCE) + 1)
    head = b'{"model": "openai/gpt-4o-mini", "messages": [{"role": "system", "content": "You are helpful."}, '
    return (
        head + b'{"role": "user", "content": "%s"}], "temperature": 0.7, "max_tokens": 256}' % text.encode()
    )


def config(providers: int) -> bytes:
    """A configuration with so many providers, each with an alias."""
    lines = [
        "version: v0.3.0",
        "listeners:",
        "  - {type: model, name: egress, port: 12000}",
        "model_providers:",
    ]
    for number in range(providers):
        lines += [f"  - model: openai/model-{number}", f"    access_key: $KEY_{number % 10}"]
    lines.append("model_aliases:")
    lines += [f"  alias-{number}: {{target: model-{number}}}" for number in range(providers)]
    return "\n".join(lines).encode()


def compiled(providers: int) -> bytes:
    """The graph.bin of such a configuration."""
    outcome = driver.compile_bytes("arch_config.yaml", config(providers))
    if outcome.graph is None:
        raise ValueError([found.summary for found in outcome.report])
    return outcome.data


def dialect() -> OpenAIChat:
    """The dialect of most traffic."""
    return OpenAIChat(Empty(), run_context())


@contextmanager
def decode_head(size: int) -> Iterator[Work]:
    """What routing reads of a request."""
    yield partial(dialect().decode_head, body(size))


@contextmanager
def encode_head(size: int) -> Iterator[Work]:
    """The request with the model's own name in it."""
    speaks = dialect()
    yield partial(speaks.encode_head, speaks.decode_head(body(size)), "gpt-4o-mini")


@contextmanager
def decode_whole(size: int) -> Iterator[Work]:
    """The whole conversation, as a guard needs it."""
    speaks = dialect()
    yield partial(speaks.decode, speaks.decode_head(body(size)))


@contextmanager
def route() -> Iterator[Work]:
    """Finding one of a thousand models."""
    names = tuple((f"openai/model-{number}", f"openai/model-{number}", "name") for number in range(1000))
    node = RouteNode(
        Route("route", names, (), "", "refuse", tuple(Edge(f"model:{n}", 0) for n, _, _ in names))
    )
    node.edges.update({f"model:{name}": Runner(name) for name, _, _ in names})
    asked = SimpleNamespace(
        head=SimpleNamespace(model="openai/model-500", fields={}),
        chosen="",
        decision=None,
        decides=False,
        request=SimpleNamespace(fields={}),
        record=record(),
    )
    yield partial(node.run, cast("Any", asked))


@contextmanager
def tap() -> Iterator[Work]:
    """Looking at one chunk of a stream as it goes by."""
    yield partial(dialect().tap().feed, DELTA)


@contextmanager
def summarise() -> Iterator[Work]:
    """Reading tokens and finish reason of a whole reply."""
    yield partial(dialect().summarise, REPLY)


@contextmanager
def identify() -> Iterator[Work]:
    """The request, trace and span identifiers of one request."""
    yield lambda: (trace.new_ids(), trace.new_span_id())


@contextmanager
def observe() -> Iterator[Work]:
    """Counting finished exchanges, as many as are counted together."""
    over = [record(usage=Usage(input_tokens=181, output_tokens=21)) for _ in range(BATCH)]
    yield partial(Metrics().observe, *over)


@contextmanager
def access_line(form: str) -> Iterator[Work]:
    """Lines of the access log, as many as are made together, and their writes."""
    log = AccessLog(AccessLogConfig(format=cast("Any", form), path="/dev/null"), run_context())
    yield partial(
        log.finish_all, [record(usage=Usage(input_tokens=181, output_tokens=21)) for _ in range(BATCH)]
    )
    log.flush()


@contextmanager
def limit() -> Iterator[Work]:
    """Charging an estimate and settling it."""
    store = Memory(MemoryConfig(), run_context(clock=time.monotonic))

    def charge_and_settle() -> None:
        store.charge_nowait("model:header:value", 200, 1e9, 60)
        store.settle_nowait("model:header:value", 2, 1e9, 60)

    yield charge_and_settle


@contextmanager
def compile_providers(count: int) -> Iterator[Work]:
    """Text to graph.bin, in memory."""
    yield partial(driver.compile_bytes, "arch_config.yaml", config(count))


@contextmanager
def load(count: int) -> Iterator[Work]:
    """graph.bin to a verified graph."""
    yield partial(artifact.load, compiled(count))


@contextmanager
def dump(count: int) -> Iterator[Work]:
    """A graph to its bytes."""
    graph: Graph = artifact.load(compiled(count))
    yield partial(artifact.dump, graph)


@contextmanager
def registry() -> Iterator[Work]:
    """Finding the built-in kinds, their modules being imported already."""
    yield Registry.load


GATEWAY = b"""\
version: v0.3.0
listeners:
  - {type: model, name: egress, port: 12000}
model_providers:
  - {model: openai/gpt-4o-mini, base_url: "http://127.0.0.1:1", access_key: $KEY, default: true}
access_log: {format: json, path: /dev/null}
"""


def whole(
    play: Callable[[bytes, dict[str, str], bytes, bytes], AbstractContextManager[Work]],
    request: bytes,
    reply: bytes,
) -> AbstractContextManager[Work]:
    """A whole exchange or stream, bound from a graph as archrun binds it."""
    outcome = driver.compile_bytes("arch_config.yaml", GATEWAY)
    return play(outcome.data, {"KEY": "sk-bench"}, request, reply)


STAGES = (
    Stage("exchange without sockets, 1 KB", partial(whole, exchange.exchange, body(1024), REPLY)),
    Stage("exchange without sockets, 32 KB", partial(whole, exchange.exchange, body(32_700), REPLY)),
    Stage("relay one chunk without sockets", partial(whole, exchange.chunk, body(1024), DELTA)),
    Stage("decode head, 1 KB", partial(decode_head, 1024)),
    Stage("decode head, 32 KB", partial(decode_head, 32_700)),
    Stage("encode head, 1 KB", partial(encode_head, 1024)),
    Stage("encode head, 32 KB", partial(encode_head, 32_700)),
    Stage("decode conversation, 1 KB", partial(decode_whole, 1024)),
    Stage("decode conversation, 32 KB", partial(decode_whole, 32_700)),
    Stage("route among 1,000 models", route),
    Stage("charge and settle a limit", limit),
    Stage("request and trace identifiers", identify),
    Stage("tap, per chunk", tap),
    Stage("summarise a reply", summarise),
    Stage("count metrics of 64", observe),
    Stage("64 access lines, json", partial(access_line, "json")),
    Stage("64 access lines, arch", partial(access_line, "arch")),
    Stage("compile 1 provider", partial(compile_providers, 1)),
    Stage("compile 100 providers", partial(compile_providers, 100)),
    Stage("compile 2,000 providers", partial(compile_providers, 2000)),
    Stage("load a graph of 1", partial(load, 1)),
    Stage("load a graph of 2,000", partial(load, 2000)),
    Stage("dump a graph of 2,000", partial(dump, 2000)),
    Stage("load the registry", registry),
)
