"""What prompt targets do for traffic: the facts of their nodes, and a call in one line."""

from __future__ import annotations

from collections.abc import Iterator

from archflow_compiler.explain import stored
from archflow_schema.graph import (
    Call,
    Fill,
    Frame,
    Graph,
    Match,
    Place,
    Resume,
    Service,
    State,
    Target,
    Tell,
)
from archflow_schema.slots import Slot
from archflow_schema.text import show


def of(
    graph: Graph, node: Match | Resume | Fill | Call | Frame | Tell
) -> Iterator[tuple[str, dict[str, str]]]:
    """The facts of a node."""
    match node:
        case Match():
            yield (
                f"matcher of {node.name.removeprefix('match ')}",
                {
                    "kind": node.use.kind,
                    "timeout": stored.seconds(node.timeout),
                    "finds": ", ".join(node.targets),
                    "state": state(node.state),
                    **stored.settings(node.use),
                },
            )
        case Resume():
            yield node.name, {"knows": ", ".join(node.targets), "state": state(node.state)}
        case Fill():
            yield (
                f"slot filler of {node.name.removeprefix('fill ')}",
                {"kind": node.use.kind, "timeout": stored.seconds(node.timeout), **stored.settings(node.use)},
            )
        case Frame():
            yield (
                node.name,
                {
                    "system prompt": show(node.system_prompt) or "none",
                    "earlier answers": "are left out" if node.forget else "stay",
                },
            )
        case Tell():
            yield (
                node.name,
                {
                    "tells": f"{graph.services[node.service].name}{node.path}",
                    "of": node.kind,
                    "timeout": stored.seconds(node.timeout),
                },
            )
        case Call():
            yield (
                node.name,
                {
                    "timeout": stored.seconds(node.timeout),
                    "repetitions": str(node.retries),
                    "calls at most": str(node.most),
                    "earlier answers": "are left out" if node.forget else "stay",
                },
            )
            for target in node.targets:
                yield f"prompt target {target.name}", _target(graph, target)


def _target(graph: Graph, target: Target) -> dict[str, str]:
    return {
        "calls": request(graph, target),
        **{f"header {name}": show(value) for name, value in target.headers},
        **{f"parameter {slot.name}": _slot(slot) for slot in target.slots},
        "answer": "is the reply" if target.verbatim else "is put into words by a model",
        "system prompt": show(target.system_prompt) or "none",
    }


def _slot(slot: Slot) -> str:
    words = [f"list of {slot.items}" if slot.type == "list" else slot.type]
    if slot.required:
        words.append("required")
    if slot.default:
        words.append(f"default {slot.default.decode()}")
    if slot.enum:
        words.append(f"one of {', '.join(value.decode() for value in slot.enum)}")
    return ", ".join(words)


def request(graph: Graph, target: Target) -> str:
    """What a target calls, in one line: `GET weather_api/forecast/{city}?days={days}`."""
    service = graph.services[target.service].name
    query = "&".join(f"{name}={_template(value)}" for name, value in target.query)
    told = ", with the conversation" if target.history else ""
    return f"{target.method} {service}{_template(target.path)}{'?' if query else ''}{query}{told}"


def _template(places: tuple[Place, ...]) -> str:
    return "".join(
        place.text
        + (f"{{{place.slot}}}" if place.slot else "")
        + (f"${place.variable}" if place.variable else "")
        for place in places
    )


def state(kept: State) -> str:
    """Where the calls of earlier turns are known from, in words."""
    if kept.store is not None:
        return f"is kept here, in {kept.store.kind}, for {stored.seconds(kept.seconds)}"
    return "is the client's" if kept.mode == "client" else "is forgotten"


def service(service: Service) -> dict[str, str]:
    """How a service is reached."""
    return {
        "at": ", ".join(show(address) for address in service.addresses),
        "host": show(service.host) or "as the address",
        "timeout to connect": stored.seconds(service.connect),
        "a conversation": "stays with one address" if service.affinity else "goes to each in turn",
    }
