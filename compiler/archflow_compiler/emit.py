"""Draft -> Graph -> bytes.

Invariant: the same configuration and the same plugins give the same bytes.
"""

from __future__ import annotations

from archflow_compiler.lower.draft import Draft
from archflow_schema.graph import Graph


def graph(draft: Draft, source: str) -> Graph:
    """The finished graph.

    Args:
        draft: its parts.
        source: the configuration's file name, without its folder.
    """
    return Graph(
        source=source,
        listeners=tuple(draft.listeners),
        nodes=tuple(draft.nodes),
        upstreams=tuple(draft.upstreams),
        tracers=tuple(draft.tracers),
        environment=draft.environment,
        secrets=draft.secrets,
        requires=draft.registry.requires(draft.kinds),
        blobs=tuple(draft.blobs[digest] for digest in sorted(draft.blobs)),
        models=tuple(sorted(draft.local_models, key=lambda one: (one.name, one.quantization, one.digest))),
        dialects=tuple(
            sorted(
                {end.dialect for listener in draft.listeners for end in listener.endpoints} | draft.dialects
            )
        ),
        services=tuple(draft.services),
    )
