"""Whether a finished graph keeps its promises, asked of the graph alone.

Every outcome is wired, nothing goes round, every node can be reached, no path comes to a model, an agent or the
call of a prompt target around a guard, and none to a model or an agent around a guard of its replies.

Rule: it reads a Graph and nothing else, so that it cannot repeat a mistake of lowering.
"""

from __future__ import annotations

from collections.abc import Iterator

from archflow_schema.diagnostic import Diagnostic, Report
from archflow_schema.graph import (
    END,
    Agent,
    Call,
    Dispatch,
    Fill,
    Filter,
    Graph,
    Guard,
    Match,
    Screen,
    Select,
    Sift,
    Tell,
    problems,
)


def verify(graph: Graph, report: Report) -> None:
    """Report what does not hold; for a graph of the compiler that is a bug, and the report says so."""
    for problem in (*problems(graph), *_unreached(graph), *_unguarded(graph), *_unscreened(graph)):
        report.add(
            Diagnostic(
                code="unsound-graph",
                severity="error",
                summary=problem,
                detail="archc made a graph that does not hold together: this is a mistake in archc",
                fix="report it with this configuration",
            )
        )


MIN_LENGTH = 8
"""Shorter keys, such as `none` or `EMPTY`, may stand in a graph by chance."""


def verify_secrets(data: bytes, secrets: dict[str, str], report: Report) -> None:
    """Report a key that is in the bytes of a graph all the same: a kind stored what it should have named."""
    for entry, value in secrets.items():
        if len(value) >= MIN_LENGTH and value.encode() in data:
            report.add(
                Diagnostic(
                    code="secret-in-graph",
                    severity="error",
                    summary=f"the key of {entry} would be in the graph",
                    detail="a kind stores its value instead of what `CompileContext.text` gives it",
                    fix="put the key into an environment variable and write `$NAME`, and tell the kind's author",
                )
            )


def _entries(graph: Graph) -> Iterator[tuple[str, int]]:
    for listener in graph.listeners:
        for endpoint in listener.endpoints:
            yield f"{listener.name} {endpoint.path}", endpoint.entry


def _unreached(graph: Graph) -> Iterator[str]:
    reached = _reached(graph, *(entry for _, entry in _entries(graph)), asked=True)
    for index, node in enumerate(graph.nodes):
        if index not in reached:
            yield f"node {node.name} cannot be reached"
    used = {node.upstream for node in graph.nodes if isinstance(node, Dispatch)}
    for index, upstream in enumerate(graph.upstreams):
        if index not in used:
            yield f"upstream {upstream.name} is never asked"
    called = {one.service for node in graph.nodes if isinstance(node, Call) for one in node.targets}
    called |= {node.service for node in graph.nodes if isinstance(node, Tell)}
    for index, service in enumerate(graph.services):
        if index not in called:
            yield f"service {service.name} is never called"


def _unguarded(graph: Graph) -> Iterator[str]:
    """Paths that a request takes to a model, an agent, a call or a filter by another outcome than `allow` of a guard.

    A guard that fails open may send what it could not judge to where `allow` leads, and nowhere else.
    """
    for where, entry in _entries(graph):
        seen: set[int] = set()
        stack = [(entry, where)]
        while stack:
            index, path = stack.pop()
            if index in seen or not 0 <= index < len(graph.nodes):
                continue
            seen.add(index)
            node = graph.nodes[index]
            if not isinstance(node, Guard):
                stack += [(edge.target, path) for edge in node.edges if edge.target != END]
                continue
            allowed = {edge.target for edge in node.edges if edge.outcome == "allow"}
            stack += [(target, path) for target in allowed]
            for edge in node.edges:
                open_here = node.fail == "open" and edge.outcome == "failed" and edge.target in allowed
                if edge.outcome == "allow" or open_here:
                    continue
                if _leads_on(graph, edge.target):
                    yield f"{path}: {node.name} {edge.outcome} {_ALL_THE_SAME}"


def _unscreened(graph: Graph) -> Iterator[str]:
    """Guards and filters of replies that a request may go round on its way to a model or an agent, or that lead on."""
    for where, entry in _entries(graph):
        for index in sorted(_reached(graph, entry)):
            node = graph.nodes[index]
            if not isinstance(node, Screen | Sift):
                continue
            round_it = _reached(graph, entry, without=index)
            if any(isinstance(graph.nodes[one], Dispatch | Agent) for one in round_it):
                yield f"{where}: a model or an agent is reached around {node.name}"
            for edge in node.edges:
                if edge.outcome != "ready" and edge.target != END and _leads_on(graph, edge.target):
                    yield f"{where}: {node.name} {edge.outcome} {_ALL_THE_SAME}"


def _reached(graph: Graph, *starts: int, without: int = END, asked: bool = False) -> set[int]:
    """The nodes that a walk can come to, if it cannot enter `without`; `asked`: and those that kinds ask on the way."""
    found: set[int] = set()
    stack = [*starts]
    while stack:
        index = stack.pop()
        if index in found or index == without or not 0 <= index < len(graph.nodes):
            continue
        found.add(index)
        node = graph.nodes[index]
        stack += [edge.target for edge in node.edges]
        if asked and isinstance(node, Select | Match | Fill):
            stack += node.asks
    return found


_ALL_THE_SAME = "leads to a model, an agent, a call or a filter all the same"


def _leads_on(graph: Graph, start: int) -> bool:
    """Whether what a guard kept back would be served; telling the error target of it serves nothing."""
    reached = _reached(graph, start)
    return any(isinstance(graph.nodes[index], Dispatch | Agent | Call | Filter) for index in reached)
