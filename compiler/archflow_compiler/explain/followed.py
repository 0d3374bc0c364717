"""The way of one request through a graph, in words: each node, what it found and which edge it took.

Rule: what happens is found out by `archflow_plugins.deciding.offline`, by the same calls as in the engine.
"""

from __future__ import annotations

from collections.abc import Iterator

from archflow_plugins.deciding.offline import Step, Walk

MOST = 10
"""Scores that are shown of one step."""


def text(walk: Walk) -> str:
    """The way in words."""
    lines = [f"listener {walk.listener}"]
    for step in walk.steps:
        lines += _step(step)
    if len(walk.models) > 1 and walk.model == walk.models[0]:
        lines.append(f"if its upstream refuses: {', '.join(walk.models[1:])}")
    return "\n".join(lines) + "\n"


def _step(step: Step) -> Iterator[str]:
    taken = f" -> {step.outcome}" if step.outcome else ""
    yield f"{step.node}: {step.why}{taken}"
    width = max((len(name) for name, _ in step.scores[:MOST]), default=0)
    for name, score in step.scores[:MOST]:
        yield f"  {name:<{width}}  {score:.4g}"
    if len(step.scores) > MOST:
        yield f"  and {len(step.scores) - MOST} more"
