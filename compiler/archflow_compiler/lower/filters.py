"""Filters -> the nodes before a route, or before an agent, in the order of the configuration; and those of replies.

::

    guards -> filter -passed-> filter -passed-> route, select or agent
                | refused        | failed
                +----------------+--> reply 400, 500

Filters of replies stand before all of them, and put themselves into the reply's way::

    guards -> sift -ready-> sift -ready-> filter ...
                | refused, failed, when the reply comes: reply 400, 500, or the end of a stream

Whoever stands under `filters` speaks HTTP or MCP; an agent that is named as a filter speaks Arch's message arrays.

Rule: guards come first, for they judge what the client said and not what a filter made of it.
"""

from __future__ import annotations

from archflow_compiler.lower.draft import Draft, edges
from archflow_compiler.tree import Path
from archflow_plugins.kinds import Filter as FilterKind
from archflow_plugins.verdict import Side
from archflow_schema.graph import Filter, Sift, Use

_NODES: dict[Side, tuple[type[Filter | Sift], str, str]] = {
    "input": (Filter, "passed", "filter"),
    "output": (Sift, "ready", "output filter"),
}
"""What a filter becomes that changes requests, or replies: the node, its outcome that leads on, how it is called."""


def before(
    draft: Draft, following: int, names: tuple[str, ...], at: Path, where: str, side: Side = "input"
) -> int:
    """The node where the filters `names` begin that stand before `following`.

    Args:
        draft: the graph so far.
        following: where a request goes that passed all of them.
        names: their ids.
        at: where these stand.
        where: what explains which of several nodes of a filter this is.
        side: whether they change the request, or the reply.
    """
    node, onward, title = _NODES[side]
    for number in reversed(range(len(names))):
        used = _use(draft, names[number], (*at, number), side)
        if used is None:
            continue  # reported
        outcomes = {
            onward: following,
            "refused": draft.reply("filter refused", 400, "filter_refused", form="chain"),
            "failed": draft.reply("filter failed", 500, "filter_failed", form="chain"),
        }
        following = draft.add(
            node(
                name=f"{title} {names[number]} ({where})",
                filter=names[number],
                use=used,
                edges=edges(**outcomes),
                origin=draft.origin(*at, number),
            )
        )
    return following


def _use(draft: Draft, name: str, said_at: Path, side: Side) -> Use | None:
    """How a filter, or an agent as one, is asked; `references` knows that it is there."""
    config = draft.config
    said: dict[str, str] = {}
    for index, one in enumerate(config.filters):
        if one.id == name:
            at: Path = ("filters", index)
            said = {"url": one.url}
            kind = draft.registry.kind(f"filter.{one.type}")
            if one.type == "mcp":
                said["tool"] = one.tool or one.id
            break
    else:
        index = next(number for number, agent in enumerate(config.agents) if agent.id == name)
        at = ("agents", index)
        said = {"url": config.agents[index].url}
        kind = draft.registry.kind("filter.messages")
    if issubclass(kind, FilterKind) and side not in kind.sides:
        draft.unit.error(
            "wrong-side",
            f'the agent "{name}" is no filter of replies: it answers requests with messages',
            draft.unit.places.value(*said_at),
            fix="name a filter of type http or mcp",
        )
        return None
    used = draft.use(kind, kind.config(**said), name, at, f"filters.{name}")
    if used is not None and issubclass(kind, FilterKind) and kind.dialect:
        draft.dialect(kind.dialect)
    return None if used is None else used[0]
