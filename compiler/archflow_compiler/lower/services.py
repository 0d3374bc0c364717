"""Endpoints of the configuration -> services of the graph, once each.

Rule: where a call goes is decided here, by the configuration alone; a conversation only fills paths, queries and
bodies.
"""

from __future__ import annotations

from urllib.parse import quote

from archflow_compiler.lower.draft import Draft, edges
from archflow_schema.graph import END, Service, Tell

OF_A_PATH = "/%:@!$&'()*+,;=~-._"
"""What stands in a path as it is, RFC 3986 section 3.3, and `%`, which begins what is encoded already."""
HISTORY = "openai_chat"
"""The dialect in whose messages services of the user's own are told a conversation, as Arch does."""


def service(draft: Draft, name: str) -> int:
    """The index of the service that a name stands for, of an endpoint or, as in Arch, of an agent.

    A name that nobody knows was reported before.
    """
    for index, known in enumerate(draft.services):
        if known.name == name:
            return index
    endpoint = next((one for one in draft.config.endpoints if one.name == name), None)
    if endpoint is None:
        number = next(number for number, agent in enumerate(draft.config.agents) if agent.id == name)
        url = draft.text(draft.config.agents[number].url)
        draft.services.append(Service(name=name, addresses=(url,), origin=draft.origin("agents", number)))
        return len(draft.services) - 1
    draft.services.append(
        Service(
            name=name,
            addresses=tuple(draft.text(f"{endpoint.protocol}://{address}") for address in endpoint.endpoint),
            host=draft.text(endpoint.http_host),
            connect=endpoint.connect_timeout,
            affinity=endpoint.prefix_affinity,
            origin=draft.origin("endpoints", name),
        )
    )
    return len(draft.services) - 1


def told(draft: Draft, name: str, kind: str, reply: int, path: str = "") -> int:
    """The node that tells the error target before `reply` answers; `reply` itself if there is no error target.

    Args:
        draft: the graph so far.
        name: of the node.
        kind: what went wrong, in one word.
        reply: what the client gets if the error target has nothing to say.
        path: where it is told, if not at its own path.
    """
    target = draft.config.error_target
    if target is None:
        return reply
    path = path or target.path
    path = quote(path if path.startswith("/") else f"/{path}", safe=OF_A_PATH)
    draft.dialect(HISTORY)
    return draft.add(
        Tell(
            name=name,
            service=service(draft, target.name),
            path=path,
            kind=kind,
            dialect=HISTORY,
            edges=edges(replied=END, silent=reply),
            timeout=draft.config.prompting.call_timeout,
            origin=draft.origin("error_target"),
        )
    )
