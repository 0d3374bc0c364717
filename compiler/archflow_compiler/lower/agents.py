"""Listeners of type agent -> the nodes that choose an agent and hand it the request.

::

    guards -> filters -> select -agent:<id>--> its filters -> agent -> the client
                           | none, failed          |            | refused, timeout, failed
                           +--> the default one    +------------+--> reply 500

Where there is one agent only, nothing is chosen.

Rule: an agent gets the request as its client sent it, in whichever dialect; so a listener serves all that hold
conversations.
A matcher in the router's place (`router: matcher.composite`) may choose several, who answer one after the other.

Rule: whatever the router does not know, or does not know in time, goes to the default agent, else to the first.
"""

from __future__ import annotations

from archflow_compiler.lower import chosen, filters, routing
from archflow_compiler.lower.draft import Draft, edges
from archflow_compiler.lower.providers import Providers
from archflow_compiler.tree import Path
from archflow_plugins.contexts import Option
from archflow_schema.config import Listener, ListenerAgent
from archflow_schema.graph import END, Agent, Edge, Endpoint, Reply, Select, Use
from archflow_schema.text import compile_text

FAILED = ("agent failed", 500, "agent_failed")
OF_ARCH = frozenset({"arch_agent_router", "arch_agent_v2", "plano_orchestrator_v1"})
"""How Arch and its successor call their own routers of agents, which `router.composite` takes the place of."""
Indexed = tuple[int, ListenerAgent]


def entry(draft: Draft, providers: Providers, at: Path, listener: Listener) -> int:
    """The node where the requests of an agent listener go once its guards have judged."""
    known = {agent.id for agent in draft.config.agents}
    served = [(number, one) for number, one in enumerate(listener.agents) if one.id in known]
    if not served:
        return _nobody(draft, at, listener)
    nodes = {
        one.id: filters.before(
            draft,
            _agent(draft, one.id),
            one.input_filters,
            (*at, "agents", number, "input_filters"),
            f"{listener.name}, {one.id}",
        )
        for number, one in served
    }
    if len(nodes) == 1:
        return next(iter(nodes.values()))
    return _select(draft, providers, at, listener, served, nodes)


def endpoints(draft: Draft, first: int) -> tuple[Endpoint, ...]:
    """A path for every dialect that holds conversations and whose paths are fixed."""
    found = []
    for name, kind in draft.registry.dialects().items():
        if kind.translates and "{" not in kind.path:
            draft.kinds.add(kind.kind)
            found.append(Endpoint(kind.path, name, first))
    return tuple(sorted(found, key=lambda endpoint: endpoint.path))


def _nobody(draft: Draft, at: Path, listener: Listener) -> int:
    """What a listener answers none of whose agents exists: `references` warned of it."""
    name = listener.agents[0].id
    status, code = FAILED[1:]
    return draft.add(
        Reply(
            name=f"no agent {name} ({listener.name})",
            status=status,
            code=code,
            message=(f"Agent '{name}' not found in agent map",),
            form="chain",
            origin=draft.origin(*at, "agents", 0),
        )
    )


def _agent(draft: Draft, name: str) -> int:
    """The node that asks an agent; made once, for all listeners that have it."""
    if name in draft.agents:
        return draft.agents[name]
    index = next(number for number, agent in enumerate(draft.config.agents) if agent.id == name)
    url = compile_text(draft.config.agents[index].url)
    draft.texts.append(url)
    failed = draft.reply(*FAILED, form="chain")
    overrides = draft.config.overrides
    draft.agents[name] = draft.add(
        Agent(
            name=f"agent {name}",
            agent=name,
            url=url,
            edges=edges(streaming=END, refused=failed, timeout=failed, failed=failed),
            connect=overrides.upstream_connect_timeout,
            ca=overrides.upstream_tls_ca_path or "",
            origin=draft.origin("agents", index),
        )
    )
    return draft.agents[name]


def _select(
    draft: Draft,
    providers: Providers,
    at: Path,
    listener: Listener,
    served: list[Indexed],
    nodes: dict[str, int],
) -> int:
    options = {
        one.id: Option(name=one.id, description=_described(draft, at, indexed))
        for indexed in served
        for one in indexed[1:]
    }
    before = set(draft.asked)
    draft.asked.clear()
    use = _router(draft, at, listener, tuple(options.values()))
    models = [model for name in sorted(draft.asked) if (model := draft.names.find(name)) is not None]
    draft.asked |= before
    asks = [providers.entry(model) for model in models]
    otherwise = nodes[next((one.id for _, one in served if one.default), served[0][1].id)]
    if use is None:
        return otherwise  # reported
    return draft.add(
        Select(
            name=f"select {listener.name}",
            use=use,
            agents=tuple(nodes),
            timeout=draft.config.routing.timeout,
            edges=(
                *(Edge(f"agent:{name}", node) for name, node in nodes.items()),
                Edge("none", otherwise),
                Edge("failed", otherwise),
            ),
            asks=tuple(node for node in asks if node is not None),
            origin=draft.origin(*at, "agents"),
        )
    )


def _described(draft: Draft, at: Path, indexed: Indexed) -> str:
    """What an agent is good for; its id, if that is all that is said, which is worth a warning."""
    number, agent = indexed
    if agent.description.strip():
        return agent.description
    draft.unit.warning(
        "no-description",
        f'the agent "{agent.id}" has no description, so it is chosen by its id alone',
        draft.unit.places.value(*at, "agents", number),
        fix="add `description:` with what it is good for",
    )
    return agent.id


def _router(draft: Draft, at: Path, listener: Listener, options: tuple[Option, ...]) -> Use | None:
    """Who chooses: the model or the kind that the listener names, the model of the overrides, or the local router."""
    overrides, said = draft.config.overrides, listener.router
    place: Path = (*at, "router")
    if said in draft.registry.family("matcher"):
        return _kind(draft, said, place, listener, options, family="matcher")
    if said and f"router.{said.removeprefix('router.')}" in draft.registry.family("router"):
        return _kind(draft, said, place, listener, options)
    tokens = overrides.orchestrator_model_context_length
    for name, where in (
        (said, place),
        (overrides.agent_orchestration_model, ("overrides", "agent_orchestration_model")),
    ):
        if name and draft.names.find(name) is not None:
            return routing.asking(draft, name, options, where, tokens=tokens)
        if name and name not in OF_ARCH:
            draft.unit.warning(
                "unknown-router-model",
                f'no provider serves the router model "{name}", so it does not choose',
                draft.unit.places.value(*where),
                fix="add a provider that serves it, or leave it out",
            )
    return _kind(draft, routing.COMPOSITE, place, listener, options)


def _kind(
    draft: Draft,
    named: str,
    place: Path,
    listener: Listener,
    options: tuple[Option, ...],
    *,
    family: str = "router",
) -> Use | None:
    return chosen.use(
        draft,
        family,
        named,
        "router",
        place,
        known=("kind",),
        entry=f"listeners.{listener.name}.router",
        options=options,
    )
