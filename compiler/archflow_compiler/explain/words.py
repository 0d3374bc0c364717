"""A graph in words: every listener, node and outcome, so that one sees what happens when something fails.

Rule: it reads a graph, and dialects if the caller has them, so it explains any graph.bin, whoever compiled it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from archflow_compiler.explain import facts, prompts, stored
from archflow_plugins.kinds import Dialect
from archflow_schema.graph import (
    END,
    Agent,
    Call,
    Choose,
    Dispatch,
    Edge,
    Endpoint,
    Fill,
    Filter,
    Frame,
    Graph,
    Guard,
    Limit,
    Listener,
    Match,
    Next,
    Node,
    Recall,
    Reply,
    Resume,
    Route,
    Screen,
    Select,
    Sift,
    Tell,
    Upstream,
    Use,
)
from archflow_schema.suggest import listed
from archflow_schema.text import show


def text(graph: Graph, digest: str = "", dialects: Mapping[str, type[Dialect]] = MappingProxyType({})) -> str:
    """The graph in words.

    Args:
        graph: the graph.
        digest: its name; left out when empty.
        dialects: those that are known here, by name: a graph tells one path of each, they tell the others.
    """
    blocks = ["\n".join(_summary(graph, digest))]
    blocks += ["\n".join(_listener(graph, listener, dialects)) for listener in graph.listeners]
    blocks += ["\n".join(lines) for lines in _nodes(graph)]
    blocks.append("\n".join(_upstreams(graph)))
    blocks.append("\n".join(_services(graph)))
    blocks.append("\n".join(_rest(graph)))
    return "\n\n".join(block for block in blocks if block) + "\n"


def _summary(graph: Graph, digest: str) -> Iterator[str]:
    yield f"graph of {graph.source}" + (f", sha256 {stored.digest(digest)}" if digest else "")


def _listener(graph: Graph, listener: Listener, dialects: Mapping[str, type[Dialect]]) -> Iterator[str]:
    scheme = "https" if listener.tls else "http"
    yield (
        f"listener {listener.name}: {listener.type}, {scheme}://{listener.address}:{listener.port}, "
        f"{stored.seconds(listener.timeout)} per request"
    )
    lines = [line for endpoint in listener.endpoints for line in _paths(graph, endpoint, dialects)]
    models = f"lists {listed(listener.models)}" if listener.models else "lists no models"
    for number, place in enumerate(_lists(listener, dialects)):
        lines.append((place, "lists the same" if number else models))
    width = max(len(path) for path, _ in lines)
    yield from (f"  {path:<{width}}  {words}" for path, words in lines)


def _paths(
    graph: Graph, endpoint: Endpoint, dialects: Mapping[str, type[Dialect]]
) -> Iterator[tuple[str, str]]:
    """The paths of an endpoint, and what becomes of what is posted there."""
    told = ", which model is only told" if endpoint.decides else ""
    yield endpoint.path, f"{endpoint.dialect} -> {facts.title(graph.nodes[endpoint.entry])}{told}"
    dialect = dialects.get(endpoint.dialect)
    if dialect is not None and not endpoint.decides:
        streamed = (path for path in (dialect.stream_path, *dialect.other_stream_paths) if path)
        yield from ((path, "the same") for path in dialect.other_paths)
        yield from ((path, "the same, streamed") for path in streamed)


def _lists(listener: Listener, dialects: Mapping[str, type[Dialect]]) -> Iterator[str]:
    """Where models are listed."""
    known = [dialects[one.dialect] for one in listener.endpoints if one.dialect in dialects]
    places = [place for one in known for place in (one.models_path, one.other_models_path) if place]
    yield from dict.fromkeys(places) if known else ("/v1/models",)


def _nodes(graph: Graph) -> Iterator[list[str]]:
    """A block for each node but replies, which explain themselves; dispatches with the same edges share one."""
    shared: dict[tuple[Edge, ...], list[Dispatch]] = {}
    for _, node in sorted(facts.walked(graph).items(), key=_place):
        if isinstance(node, Dispatch):
            shared.setdefault(node.edges, []).append(node)
        elif not isinstance(node, Reply):
            yield [*_head(graph, node), *_edges(graph, node)]
    for nodes in shared.values():
        heads = [line for node in nodes for line in _dispatch(graph, node)]
        yield [*heads, *_edges(graph, nodes[0])]


def _place(found: tuple[int, Node]) -> tuple[int, int]:
    """Types in the order in which they act; models in that of the configuration, all else as it is walked."""
    index, node = found
    return _ORDER[type(node)], index if isinstance(node, Dispatch) else 0


_IN_ORDER: tuple[type[Node], ...] = (
    Recall, Guard, Screen, Sift, Filter, Match, Resume, Fill, Call, Tell, Frame, Route, Choose, Next, Select, Limit,
    Dispatch, Agent,
    Reply,
)  # fmt: skip
_ORDER = {kind: number for number, kind in enumerate(_IN_ORDER)}


def _head(graph: Graph, node: Node) -> Iterator[str]:
    if isinstance(node, Guard | Screen | Sift | Filter):
        judged = "judges replies, " if isinstance(node, Screen) else ""
        yield f"{node.name}: {judged}{_use(node.use)}"
    elif isinstance(node, Recall):
        yield f"{node.name}: for {stored.seconds(node.seconds)} in {_use(node.store)}"
    elif isinstance(node, Limit):
        yield f"{node.name}: " + "; ".join(facts.quota(quota) for quota in node.quotas)
    elif isinstance(node, Choose):
        yield f"{node.name}: {node.use.kind}, {stored.seconds(node.timeout)} at most"
        live = {route: facts.gauge(one) for one in node.ranked for route in one.routes}
        for route, models in node.routes:
            ranked = f", ranked by {live[route]}" if route in live else ""
            yield f"  {route}: {', '.join(models)}{ranked}"
        if node.sessions is not None:
            yield f"  sessions: {facts.sessions(node.sessions)}"
    elif isinstance(node, Next):
        yield f"{node.name}: the next model of the route"
    elif isinstance(node, Select):
        yield f"{node.name}: {node.use.kind}, {stored.seconds(node.timeout)} at most"
    elif isinstance(node, Agent):
        told = "".join(f", tells {name} {value}" for name, value in node.tells)
        yield f"{node.name}: asks {show(node.url)}{told}"
    elif isinstance(node, Match | Resume | Fill | Call | Frame | Tell):
        yield from _of_prompts(graph, node)
    elif isinstance(node, Route):
        rest = facts.unknown(node)
        unknown = f"unknown models become {rest}" if rest else "unknown models are refused"
        yield f"{node.name}: {_unnamed(node)}, {unknown}"


def _unnamed(node: Route) -> str:
    """What becomes of a request that names no model."""
    if node.routed:
        return f"no model, or {', '.join(name for name in node.routed if name)}, is left to the router"
    return f"without a model {node.default}" if node.default else "a model must be named"


def _use(use: Use) -> str:
    words = stored.words(use)
    return use.kind + (f", {words}" if words else "")


def _of_prompts(graph: Graph, node: Match | Resume | Fill | Call | Frame | Tell) -> Iterator[str]:
    match node:
        case Match():
            yield (
                f"{node.name}: {node.use.kind}, {stored.seconds(node.timeout)} at most; what was called before "
                f"{prompts.state(node.state)}"
            )
        case Resume():
            yield f"{node.name}: what was called before {prompts.state(node.state)}"
        case Fill():
            yield f"{node.name}: {node.use.kind}, {stored.seconds(node.timeout)} at most"
        case Call():
            yield (
                f"{node.name}: {stored.seconds(node.timeout)} a call, {node.retries} repetitions, "
                f"{node.most} calls a prompt"
            )
            for target in node.targets:
                then = "the answer is the reply" if target.verbatim else "a model puts the answer into words"
                yield f"  {target.name}: {prompts.request(graph, target)}; {then}"
        case Frame():
            words = show(node.system_prompt)
            yield f"{node.name}: {f'system prompt, {len(words)} characters' if words else 'no system prompt'}"
        case Tell():
            yield f"{node.name}: POST {graph.services[node.service].name}{node.path}, of {node.kind}"


def _dispatch(graph: Graph, node: Dispatch) -> Iterator[str]:
    upstream = graph.upstreams[node.upstream]
    asked = node.model_id or "what follows the prefix"
    yield f"{node.name}: asks {upstream.name} for {asked}"


def _edges(graph: Graph, node: Node) -> Iterator[str]:
    asked = _asked(node) if isinstance(node, Route) else {}
    for edge in facts.edges(node):
        target = "the client" if edge.target == END else facts.title(graph.nodes[edge.target])
        yield f"  {asked.get(edge.outcome, edge.outcome)} -> {target}"


def _asked(route: Route) -> dict[str, str]:
    """Outcome -> the names that lead to it."""
    names: dict[str, list[str]] = {}
    for asked, model, reason in route.names:
        names.setdefault(f"model:{model}", []).append(f"{asked} (alias)" if reason == "alias" else asked)
    for prefix, model in route.wildcards:
        names.setdefault(f"model:{model}", []).append(f"{prefix}*")
    return {outcome: listed(found) for outcome, found in names.items()}


def _upstreams(graph: Graph) -> Iterator[str]:
    for upstream in graph.upstreams:
        yield (
            f"upstream {upstream.name}: {upstream.provider} {_reached(upstream)}, "
            f"speaks {', '.join(upstream.dialects)}"
        )


def _reached(upstream: Upstream) -> str:
    """Where an upstream is, and how it is asked."""
    url = show(upstream.url)
    if "://" not in url:  # a model of the gateway's own
        return f"in {url}"
    key = stored.settings(upstream.use).get("key", "")
    auth = "the client's key" if upstream.passthrough_auth else f"key {key}" if key else "no key"
    return f"at {url}, HTTP/{upstream.http}, {auth}"


def _services(graph: Graph) -> Iterator[str]:
    for service in graph.services:
        host = f", Host {show(service.host)}" if service.host else ""
        yield (
            f"endpoint {service.name}: {', '.join(show(address) for address in service.addresses)}{host}, "
            f"{stored.seconds(service.connect)} to connect"
        )


def _rest(graph: Graph) -> Iterator[str]:
    for use in graph.tracers:
        words = stored.words(use)
        yield use.kind + (f": {words}" if words else "")
    if graph.environment:
        yield f"environment: {', '.join(graph.environment)}"
    if graph.secrets:
        yield f"side file: {', '.join(graph.secrets)}"
    for model in graph.models:
        yield (
            f"local model {model.name}: {model.quantization}, {model.size / 1e6:.0f} MB in each worker, "
            f"sha256 {stored.digest(model.digest)}, conversion {model.conversion}"
        )
    for required in graph.requires:
        yield f"plugin {required.entry_point}: {required.distribution} {required.version}, {', '.join(required.kinds)}"
