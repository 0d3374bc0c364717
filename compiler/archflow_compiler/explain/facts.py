"""What a graph does for traffic, as plain facts: thing -> property -> words.

`explain` and `diff` are made of them. Facts are read from the graph alone, so they hold for any graph.bin; what a kind
compiled is shown as it is stored, with variables and side-file entries by name.

Rule: a fact never holds a secret, for a graph never does.
"""

from __future__ import annotations

from collections.abc import Iterator

from archflow_compiler.explain import prompts, stored
from archflow_schema.graph import (
    END,
    Agent,
    Call,
    Choose,
    Dispatch,
    Edge,
    Fill,
    Filter,
    Frame,
    Graph,
    Guard,
    Limit,
    Listener,
    Match,
    Node,
    Quota,
    Ranked,
    Recall,
    Reply,
    Resume,
    Route,
    Screen,
    Select,
    Sessions,
    Sift,
    Tell,
    Upstream,
)
from archflow_schema.text import show

Facts = dict[str, dict[str, str]]
_PERIODS = {1: "second", 60: "minute", 3600: "hour", 86_400: "day"}


def facts(graph: Graph) -> Facts:
    """Everything that matters for traffic, in an order that does not depend on that of the file."""
    found: Facts = {}
    for listener in graph.listeners:
        found[f"listener {listener.name}"] = _listener(graph, listener)
    upstreams, names = graph.upstreams, _names(graph)
    for node in graph.nodes:
        if isinstance(node, Dispatch):
            found[f"model {node.model}"] = {
                "names": ", ".join(names.get(node.model, ())),
                "asked for": node.model_id or "what follows the prefix",
                **_upstream(upstreams[node.upstream]),
            }
        elif isinstance(node, Limit):
            found[f"rate limit of {node.model}"] = {
                f"{quota.key} {quota.value or 'any'}": f"{quota.tokens} tokens per {_period(quota)}"
                for quota in node.quotas
            }
        elif isinstance(node, Guard | Sift | Filter):
            found[node.name] = {"kind": node.use.kind, **stored.settings(node.use)}
        elif isinstance(node, Screen):
            found[node.name] = {
                "kind": node.use.kind,
                "a reply that it cannot judge": "goes to the client" if node.fail == "open" else "is denied",
                **stored.settings(node.use),
            }
        elif isinstance(node, Recall):
            found[node.name] = {
                "keeps in": node.store.kind,
                "keeps for": stored.seconds(node.seconds),
                **stored.settings(node.store),
            }
        elif isinstance(node, Choose):
            found[f"router of {node.name.removeprefix('choose ')}"] = {
                "kind": node.use.kind,
                "timeout": stored.seconds(node.timeout),
                **{f"for {route}": ", ".join(models) for route, models in node.routes},
                **{f"ranks {route} by": gauge(one) for one in node.ranked for route in one.routes},
                **({} if node.sessions is None else {"sessions": sessions(node.sessions)}),
                **stored.settings(node.use),
            }
        elif isinstance(node, Select):
            found[f"agents of {node.name.removeprefix('select ')}"] = {
                "kind": node.use.kind,
                "timeout": stored.seconds(node.timeout),
                "agents": ", ".join(node.agents),
                **{
                    f"when {edge.outcome}": title(graph.nodes[edge.target])
                    for edge in node.edges
                    if not edge.outcome.startswith("agent:")
                },
                **stored.settings(node.use),
            }
        elif isinstance(node, Agent):
            found[node.name] = {
                "at": show(node.url),
                "timeout to connect": stored.seconds(node.connect),
                "timeout of the first byte": stored.seconds(node.first_byte),
                "timeout between chunks": stored.seconds(node.between_chunks),
                "authorities": node.ca or "the system's",
                "host": show(node.host) or "as the address",
                **{f"is told {name}": value for name, value in node.tells},
            }
        elif isinstance(node, Match | Resume | Fill | Call | Frame | Tell):
            found.update(prompts.of(graph, node))
        elif isinstance(node, Route) and not node.routed:
            found.update(_route(node))
    for service in graph.services:
        found[f"endpoint {service.name}"] = prompts.service(service)
    for number, use in enumerate(graph.tracers):
        same = sum(other.kind == use.kind for other in graph.tracers[:number])
        found[f"{use.kind}{f' {same + 1}' if same else ''}"] = stored.settings(use)
    for local in graph.models:
        found[f"local model {local.name}"] = {
            "kept as": f"{local.quantization}, conversion {local.conversion}",
            "sha256": local.digest,
        }
    for required in graph.requires:
        found[f"plugin {required.entry_point}"] = {"version": f"{required.distribution} {required.version}"}
    if graph.environment:
        found["environment"] = dict.fromkeys(graph.environment, "needed")
    if graph.secrets:
        found["graph.secrets"] = dict.fromkeys(graph.secrets, "needed")
    return found


def _listener(graph: Graph, listener: Listener) -> dict[str, str]:
    limits = listener.limits
    return {
        "type": listener.type,
        "address": f"{listener.address}:{listener.port}",
        "timeout": stored.seconds(listener.timeout),
        "tls": "none" if listener.tls is None else f"{listener.tls.certificate}, {listener.tls.private_key}",
        **{f"takes {endpoint.path}": endpoint.dialect for endpoint in listener.endpoints},
        "guards": ", ".join(guards(graph, listener)) or "none",
        "guards of replies": ", ".join(guards(graph, listener, Screen)) or "none",
        "limit of head": f"{limits.head} bytes",
        "limit of headers": str(limits.headers),
        "limit of body": f"{limits.body} bytes",
        "limit of receiving": stored.seconds(limits.receive),
        "limit of idling": stored.seconds(limits.idle),
        "limit of connections": str(limits.connections or "none"),
    }


def guards(graph: Graph, listener: Listener, kind: type[Guard | Screen] = Guard) -> Iterator[str]:
    """The guards that every request of a listener passes, in order; with Screen those of its replies."""
    index = listener.endpoints[0].entry if listener.endpoints else -1
    while 0 <= index < len(graph.nodes):
        node = graph.nodes[index]
        if isinstance(node, kind):
            yield node.name
        elif not isinstance(node, Recall | Guard | Screen | Sift):
            return
        index = next((edge.target for edge in node.edges if edge.outcome in {"allow", "ready"}), -1)


def _route(route: Route) -> Facts:
    where, rest = route.name.removeprefix("route "), unknown(route)
    found: Facts = {
        f"requests of {where}": {
            "without a model": route.default or "are refused",
            "for an unknown model": f"go to {rest}" if rest else "are refused",
        }
    }
    for asked, model, reason in route.names:
        if reason == "alias":
            found[f"alias {asked}"] = {"leads to": model}
    return found


def _names(graph: Graph) -> dict[str, list[str]]:
    """Model -> the names that lead to it, aliases apart."""
    found: dict[str, list[str]] = {}
    for route in graph.nodes:
        if isinstance(route, Route):
            pairs = [(asked, model) for asked, model, reason in route.names if reason != "alias"]
            for asked, model in (*pairs, *((f"{prefix}*", model) for prefix, model in route.wildcards)):
                if asked not in found.setdefault(model, []):
                    found[model].append(asked)
    return found


def _upstream(upstream: Upstream) -> dict[str, str]:
    return {
        "provider": upstream.provider,
        "at": show(upstream.url),
        "host": show(upstream.host) or "as the address",
        "speaks": ", ".join(upstream.dialects),
        "http": upstream.http,
        "timeout to connect": stored.seconds(upstream.connect),
        "timeout of the first byte": stored.seconds(upstream.first_byte),
        "timeout between chunks": stored.seconds(upstream.between_chunks),
        "authorities": upstream.ca or "the system's",
        "the client's key": "is sent on" if upstream.passthrough_auth else "stays here",
        **stored.settings(upstream.use),
    }


def _period(quota: Quota) -> str:
    return _PERIODS.get(quota.period, f"{quota.period} s")


def title(node: Node) -> str:
    """A node in one line."""
    if isinstance(node, Reply):
        how = node.code or "as the assistant"
        return f"reply {node.status or 'with its status'}{' ' if node.code else ', '}{how}"
    return node.name


def unknown(route: Route) -> str:
    """The model that a name which nobody knows becomes; empty where it is refused."""
    return route.default if route.unknown == "default" else ""


def edges(node: Node) -> tuple[Edge, ...]:
    """The edges of a node as they are walked: where unknown names become the default model, none is refused."""
    rest = unknown(node) if isinstance(node, Route) else ""
    if not rest:
        return node.edges
    default = next(edge.target for edge in node.edges if edge.outcome == f"model:{rest}")
    return tuple(Edge(edge.outcome, default) if edge.outcome == "unknown" else edge for edge in node.edges)


def walked(graph: Graph) -> dict[int, Node]:
    """The nodes by index, in the order in which requests come to them, and then those that only kinds ask.

    Left out are replies that no request can get.
    """
    found: dict[int, Node] = {}
    ahead = [endpoint.entry for listener in graph.listeners for endpoint in listener.endpoints][::-1]
    while ahead:
        index = ahead.pop()
        if index != END and index not in found:
            found[index] = graph.nodes[index]
            ahead += [edge.target for edge in edges(graph.nodes[index])][::-1]
    asked = enumerate(graph.nodes)
    return found | {
        index: node for index, node in asked if index not in found and not isinstance(node, Reply)
    }


def gauge(one: Ranked) -> str:
    """What models are ranked by."""
    return "the time until their first byte" if one.gauge is None else one.gauge.kind


def sessions(one: Sessions) -> str:
    """How sessions stay with a model, in one line."""
    words = [one.store.kind, f"{one.seconds} s"]
    words += [f"told apart by {one.tenant}"] if one.tenant else []
    if one.budget is not None:
        words.append(
            f"moves may cost {one.budget.percent:g} % and need a confidence of {one.budget.confidence:g}"
        )
    return ", ".join(words)


def quota(one: Quota) -> str:
    """A quota in one line."""
    whose = f"{one.key}: {one.value}" if one.value else f"each {one.key}"
    return f"{one.tokens} tokens per {_period(one)} for {whose}"
