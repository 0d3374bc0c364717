"""The first translation of a graph, made before a worker is ready.

A dialect imports what translating takes when it first translates. That is some 20 ms in which nobody else is served,
once for a dialect and worker; so where a graph says by itself that it will come to it, it is done here, with a request
of no consequence. What only some client may ask for waits for that client, and costs a worker no memory until then.

Rule: what goes wrong here says nothing; a request for which it goes wrong as well is answered for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from archflow_plugins.kinds import Dialect, Head
from archflow_plugins.translation import Answering
from archflow_schema import graph as ir
from archflow_schema.conversation import Conversation

_READERS = (ir.Guard, ir.Filter, ir.Match, ir.Choose, ir.Select)
"""Nodes that read the conversation, in whatever dialect it came."""


def rehearse(graph: ir.Graph, dialects: Mapping[str, Dialect]) -> None:
    """Translate from the first dialect of each listener into those of the upstreams that do not speak it."""
    read = any(isinstance(node, _READERS) for node in graph.nodes)
    for name in {_first(listener) for listener in graph.listeners}:
        source = dialects.get(name)
        if source is None or not source.translates:
            continue
        spoken = (_spoken(one, dialects) for one in graph.upstreams if name not in one.dialects)
        others = {one for one in spoken if one is not None}
        if not read and not others:
            continue
        with contextlib.suppress(Exception):
            head = _head(source)
            conversation = source.decode(head)
            for other in others:
                _translate(source, head, conversation, other)


def _first(listener: ir.Listener) -> str:
    """The dialect in which a listener answers whoever has not said which one they speak, as its plan has it."""
    return next((one.dialect for one in listener.endpoints if "{" not in one.path), "")


def _spoken(upstream: ir.Upstream, dialects: Mapping[str, Dialect]) -> Dialect | None:
    """The dialect into which requests for an upstream are translated, as dispatch has it."""
    found = (dialects[name] for name in upstream.dialects if name in dialects)
    return next((one for one in found if one.translates), None)


def _head(dialect: Dialect) -> Head:
    """A request with a model, which in some dialects stands elsewhere."""
    head = dialect.decode_head(dialect.minimal.encode())
    return Head(head.model or "model", head.stream, head.fields, head.body)


def _translate(source: Dialect, head: Head, conversation: Conversation, target: Dialect) -> None:
    target.encode(conversation, head.model)
    for stream in (False, True):
        target.reply_decoder(stream=stream)
        source.reply_encoder(
            Head(head.model, stream, head.fields, head.body),
            Answering(request_id="", model=head.model, created=0),
        )
