"""Listeners of type agent -> the nodes that choose an agent and hand it the request.

::

    guards -> filters -> select -agent:<id>--> its filters -> agent -> the client
                           | none, failed          |            | refused, timeout, failed
                           +--> the default one    +------------+--> reply 500

Where there is one agent only, nothing is chosen. A prompt target, or a model, may stand in an agent's place::

    select -agent:<target>-> its filters -> resume -> fill -> call -> route -> ...
             | agent:<model>-> its filters -> [resume -> frame ->] route of that model -> ...

Rule: an agent gets the request as its client sent it, in whichever dialect; so a listener serves all that hold
conversations. Beside prompt targets it gets it without what only they know.
Rule: whatever the router does not know, or does not know in time, goes to the default agent, else to the first that is
no prompt target, else to a model.

A matcher in the router's place (`router: matcher.composite`) may choose several, who answer one after the other.
"""

from __future__ import annotations

from archflow_compiler.lower import chosen, filters, handing, routing, state
from archflow_compiler.lower.draft import Draft, Once
from archflow_compiler.lower.prompts import Prompts
from archflow_compiler.lower.providers import Providers
from archflow_compiler.passes.models import Model
from archflow_compiler.passes.prompts import targets_of
from archflow_compiler.tree import Path
from archflow_plugins.contexts import Option
from archflow_schema.config import Listener, ListenerAgent
from archflow_schema.graph import Edge, Endpoint, Reply, Route, Select, Use

OF_ARCH = frozenset({"arch_agent_router", "arch_agent_v2", "plano_orchestrator_v1"})
"""How Arch and its successor call their own routers of agents, which `router.composite` takes the place of."""
Indexed = tuple[int, ListenerAgent]


class Agents:
    """The listeners of type agent of one configuration.

    Args:
        draft: the graph so far.
        providers: who makes the nodes that ask models.
        prompts: who makes those of prompt targets.
    """

    def __init__(self, draft: Draft, providers: Providers, prompts: Prompts) -> None:
        self._draft = draft
        self._providers = providers
        self._prompts = prompts

    def entry(self, at: Path, listener: Listener, route: Once) -> int:
        """The node where the requests of a listener go once its guards have judged.

        Args:
            at: where it stands.
            listener: it.
            route: makes the node where a conversation goes that some model answers.
        """
        agents, targets, models = self._named(listener)
        known = {*agents, *targets, *models}
        served = [(number, one) for number, one in enumerate(listener.agents) if one.id in known]
        if not served:
            return _nobody(self._draft, at, listener)
        nodes, otherwise = self._nodes(at, listener, served, targets, models, route)
        if len(served) == 1 and not targets:
            return otherwise
        return self._select(at, listener, served, nodes, otherwise, targets, models)

    def endpoints(self, listener: Listener, first: int) -> tuple[Endpoint, ...]:
        """A path for every dialect that holds conversations and whose paths are fixed."""
        draft = self._draft
        _, targets, models = self._named(listener)
        found = []
        for name, kind in draft.registry.dialects().items():
            if kind.translates and "{" not in kind.path:
                draft.kinds.add(kind.kind)
                begin = (
                    state.recall(draft, first, listener.name) if kind.keeps and (targets or models) else first
                )
                found.append(Endpoint(kind.path, name, begin))
        return tuple(sorted(found, key=lambda endpoint: endpoint.path))

    def _named(self, listener: Listener) -> tuple[frozenset[str], frozenset[str], dict[str, Model]]:
        """The agents, prompt targets and models that a listener names; the first of these that has a name has it."""
        config = self._draft.config
        agents, targets = frozenset(agent.id for agent in config.agents), targets_of(config, listener)
        others = [one.id for one in listener.agents if one.id not in agents | targets]
        models = {name: model for name in others if (model := self._draft.names.called(name)) is not None}
        return agents, targets, models

    def _nodes(
        self,
        at: Path,
        listener: Listener,
        served: list[Indexed],
        targets: frozenset[str],
        models: dict[str, Model],
        route: Once,
    ) -> tuple[dict[str, int], int]:
        """Name -> where it begins, for all that are served; and where those go that fit none of them."""
        draft, prompts, name = self._draft, self._prompts, listener.name
        plain = Once(lambda: prompts.plain(name, route))
        begins = prompts.selected(name, targets, route, plain)
        for one in (one for _, one in served if one.id not in targets):
            node = self._model(name, models[one.id]) if one.id in models else handing.agent(draft, one.id)
            begins[one.id] = prompts.beside(f"{one.id} {name}", targets, node) if targets else node
        nodes = {
            one.id: filters.before(
                draft,
                begins[one.id],
                one.input_filters,
                (*at, "agents", number, "input_filters"),
                f"{name}, {one.id}",
            )
            for number, one in served
        }
        others = sorted((one for _, one in served if one.id not in targets), key=_comes_last)
        return nodes, nodes[others[0].id] if others else prompts.resumed(targets, plain())

    def _model(self, listener: str, model: Model) -> int:
        """The node of a model, which is asked whatever the request says."""
        draft = self._draft
        entry = self._providers.entry(model)
        return draft.add(
            Route(
                name=f"route {listener}, {model.name}",
                names=(),
                wildcards=(),
                default=model.name,
                unknown="default",
                edges=(
                    *(() if entry is None else (Edge(f"model:{model.name}", entry),)),
                    Edge("unknown", draft.reply("unknown model", 404, "model_not_found")),
                ),
                origin=draft.origin("model_providers", model.index),
            )
        )

    def _select(
        self,
        at: Path,
        listener: Listener,
        served: list[Indexed],
        nodes: dict[str, int],
        otherwise: int,
        targets: frozenset[str],
        models: dict[str, Model],
    ) -> int:
        draft = self._draft
        options = {one.id: self._option(at, indexed, targets) for indexed in served for one in indexed[1:]}
        use = _router(draft, at, listener, tuple(options.values()))
        asks = self._providers.asked(draft.asked)
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
                asks=asks,
                origin=draft.origin(*at, "agents"),
                targets=tuple(name for name in nodes if name in targets),
                models=tuple(name for name in nodes if name in models),
            )
        )

    def _option(self, at: Path, indexed: Indexed, targets: frozenset[str]) -> Option:
        """What is chosen among: an agent as the listener describes it, a prompt target as it describes itself too."""
        one = indexed[1]
        if one.id not in targets:
            return Option(name=one.id, description=_described(self._draft, at, indexed))
        target = next(found for found in self._draft.config.prompt_targets if found.name == one.id)
        return Option(
            name=one.id, description=one.description or target.description, examples=target.examples
        )


def _comes_last(agent: ListenerAgent) -> bool:
    return not agent.default


def _nobody(draft: Draft, at: Path, listener: Listener) -> int:
    """What a listener answers none of whose agents exists: `references` warned of it."""
    name = listener.agents[0].id
    status, code = handing.FAILED[1:]
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
