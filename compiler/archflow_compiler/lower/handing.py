"""Agents -> the nodes that hand requests to them.

An agent stands under `agents`; with `use_agent_orchestrator` the only endpoint is one too, and prompt targets are the
agents behind it, which it is told in the metadata, as Arch does.
"""

from __future__ import annotations

from archflow_compiler.lower.draft import Draft, edges
from archflow_compiler.passes import prompts
from archflow_compiler.tree import Path
from archflow_schema.graph import END, Agent
from archflow_schema.text import Text

FAILED = ("agent failed", 500, "agent_failed")


def agent(draft: Draft, name: str) -> int:
    """The node that asks an agent; made once, for all that lead to it."""
    if name not in draft.agents:
        index = next(number for number, one in enumerate(draft.config.agents) if one.id == name)
        url = draft.text(draft.config.agents[index].url)
        connect = draft.config.overrides.upstream_connect_timeout
        draft.agents[name] = _node(draft, f"agent {name}", name, url, ("agents", index), connect=connect)
    return draft.agents[name]


def orchestrator(draft: Draft, target: str = "") -> int:
    """The node that hands a request to the orchestrator.

    Args:
        draft: the graph so far.
        target: the prompt target that was matched, which it is told; empty if none was.
    """
    endpoint = draft.config.endpoints[0]
    name = f"orchestrator {endpoint.name}" + (f", {target}" if target else "")
    if name not in draft.agents:
        overrides = draft.config.overrides
        tells: tuple[tuple[str, str], ...] = ()
        if target:
            tells = (("use_agent_orchestrator", "true"), ("agent-name", target))
        if target and overrides.optimize_context_window:
            tells += (("optimize_context_window", "true"),)
        draft.agents[name] = _node(
            draft,
            name,
            target or endpoint.name,
            draft.text(f"{endpoint.protocol}://{endpoint.endpoint[0]}"),
            ("endpoints", endpoint.name),
            connect=endpoint.connect_timeout,
            host=draft.text(endpoint.http_host),
            tells=tells,
        )
    return draft.agents[name]


def target(draft: Draft, name: str) -> int | None:
    """The node where a prompt target hands the conversation over; None if an agent is nothing to it."""
    one = next(one for one in draft.config.prompt_targets if one.name == name)
    if prompts.handed_over(draft.config, one):
        return orchestrator(draft, name)
    whose = prompts.agent_of(draft.config, one)
    return agent(draft, whose) if whose else None


def _node(
    draft: Draft,
    name: str,
    who: str,
    url: Text,
    at: Path,
    *,
    connect: float,
    host: Text = (),
    tells: tuple[tuple[str, str], ...] = (),
) -> int:
    failed = draft.reply(*FAILED, form="chain")
    return draft.add(
        Agent(
            name=name,
            agent=who,
            url=url,
            edges=edges(streaming=END, refused=failed, timeout=failed, failed=failed),
            connect=connect,
            ca=draft.config.overrides.upstream_tls_ca_path or "",
            origin=draft.origin(*at),
            host=host,
            tells=tells,
        )
    )
