"""Prompt targets -> the nodes that match, fill and call, before the route of a prompt listener or behind a selection.

::

    guards -> match -> fill -> call -> route -> ...        call -> the client, where the answer is the reply
                | miss   | ask   | failed
                |        v       v
                |      reply   [tell ->] reply
                +-> call of the default target, or the system prompt -> route

A target whose endpoint is an agent hands the conversation over, with its system prompt before it::

    match -> frame -> agent -> the client

A listener of type agent that names targets selects among them; a prompt begins there with a node of its own::

    select -> [filters ->] resume -> fill, or frame -> ...

Rule: whatever cannot match goes on as a miss, and what cannot be filled is asked for; only a call that failed is an
error.
Invariant: no way leads round a guard, for guards stand before all of this.
"""

from __future__ import annotations

from archflow_compiler.lower import calls, chosen, handing, services
from archflow_compiler.lower.draft import Draft, Once, edges
from archflow_compiler.lower.providers import Providers
from archflow_compiler.passes.prompts import is_called, targets_of
from archflow_compiler.tree import Path
from archflow_plugins.contexts import Option
from archflow_schema.config import PromptKind, PromptTarget
from archflow_schema.graph import END, Call, Edge, Fill, Frame, Match, Resume, State, Use
from archflow_schema.slots import Intent

COMPOSITE = "composite"
Indexed = tuple[int, PromptTarget]


class Prompts:
    """The prompt targets of a configuration; what all listeners share of them is made once."""

    def __init__(self, draft: Draft, providers: Providers) -> None:
        self._draft = draft
        config = draft.config
        indexed = list(enumerate(config.prompt_targets))
        self._targets = indexed
        self._default = next((one for one in indexed if one[1].default), None)
        self._matched = [one for one in indexed if not one[1].default]
        self._called = [one for one in self._matched if is_called(config, one[1])]
        prompted = any(listener.type == "prompt" for listener in config.listeners) and bool(self._matched)
        served = prompted or any(targets_of(config, listener) for listener in config.listeners)
        self._state = self._kept() if served else State()
        self._matcher = self._match_with() if prompted else None
        self._matcher_asks = providers.asked(draft.asked) if self._matcher is not None else ()
        self._filler = self._fill_with() if served and self._called else None
        self._filler_asks = providers.asked(draft.asked) if self._filler is not None else ()

    def before_route(self, listener: str, route: Once) -> int:
        """The node where a prompt listener's requests begin, once its guards have judged.

        Args:
            listener: its name.
            route: makes the node where a conversation goes that a model answers.
        """
        config = self._draft.config
        if not config.prompt_targets and not config.system_prompt:
            return route()
        if self._matcher is None:
            return self._default_call(listener, route) or self._plain(listener, route)
        plain = self._plain(listener, route)
        miss = self._default_call(listener, route) or plain
        leads = self._leads(listener, self._matched, route, Once(lambda: miss))
        return self._draft.add(
            Match(
                name=f"match {listener}",
                use=self._matcher,
                targets=tuple(one.name for _, one in self._matched),
                edges=(
                    *(Edge(f"target:{name}", node) for name, node in leads.items()),
                    Edge("miss", miss),
                    Edge("pass", plain),
                    Edge("empty", self._draft.reply("empty prompt", 500, "empty_prompt")),
                    Edge("failed", miss),
                ),
                timeout=config.prompting.timeout,
                state=self._state,
                origin=self._draft.origin("prompt_targets"),
                asks=self._matcher_asks,
            )
        )

    def selected(self, listener: str, names: frozenset[str], route: Once, plain: Once) -> dict[str, int]:
        """Name of a target -> the node where it begins once a listener of type agent has selected it.

        Args:
            listener: its name.
            names: the targets that it names.
            route: makes the node where a conversation goes that a model answers.
            plain: makes the one where it goes if it asks for nothing after all.
        """
        wanted = [one for one in self._targets if one[1].name in names]
        leads = self._leads(listener, wanted, route, plain)
        begins = {node: self.resumed(names, node) for node in dict.fromkeys(leads.values())}
        return {name: begins[node] for name, node in leads.items()}

    def plain(self, listener: str, route: Once) -> int:
        """Where a prompt goes that calls nothing: to a model, with the system prompt before it."""
        return self._frame(f"frame {listener}", self._draft.config.system_prompt, route(), ("system_prompt",))

    def beside(self, name: str, names: frozenset[str], following: int) -> int:
        """The node where a conversation begins that goes to an agent or a model beside the targets `names`."""
        return self.resumed(names, self._frame(f"frame {name}", "", following, ()))

    def resumed(self, names: frozenset[str], following: int) -> int:
        """The node that puts back what earlier turns called before `following`."""
        return self._draft.add(
            Resume(
                name=f"resume, {self._draft.nodes[following].name}",
                targets=tuple(one.name for _, one in self._targets if one.name in names),
                edges=edges(resumed=following),
                state=self._state,
                origin=self._draft.origin("prompt_targets"),
            )
        )

    def _leads(self, listener: str, targets: list[Indexed], route: Once, miss: Once) -> dict[str, int]:
        """Name of a target -> the node where it begins; those that are called begin at the same."""
        called = [one for one in targets if is_called(self._draft.config, one[1]) and not one[1].default]
        names = {one.name for _, one in called}
        filled = self._fill(listener, called, route(), miss()) if called else END
        return {
            one.name: filled
            if one.name in names
            else self._call(f"default {listener}", [(index, one)], route(), history=True)
            if is_called(self._draft.config, one)
            else self._words(index, one, listener, route)
            for index, one in targets
        }

    def _plain(self, listener: str, route: Once) -> int:
        """Where a prompt goes that calls nothing."""
        if self._default is not None and not is_called(self._draft.config, self._default[1]):
            return self._words(*self._default, listener, route)
        return self.plain(listener, route)

    def _default_call(self, listener: str, route: Once) -> int | None:
        """Where a prompt goes that matches no target, if there is one for them."""
        if self._default is None or not is_called(self._draft.config, self._default[1]):
            return None
        return self._call(f"default {listener}", [self._default], route(), history=True)

    def _words(self, index: int, target: PromptTarget, listener: str, route: Once) -> int:
        """A target that calls nothing is served by an agent, or by a model, and a system prompt."""
        prompt = target.system_prompt or self._draft.config.system_prompt
        agent = handing.target(self._draft, target.name)
        return self._frame(
            f"frame {target.name} {listener}",
            prompt,
            route() if agent is None else agent,
            ("prompt_targets", index),
        )

    def _frame(self, name: str, system_prompt: str, route: int, at: Path) -> int:
        draft = self._draft
        return draft.add(
            Frame(
                name=name,
                system_prompt=draft.text(system_prompt),
                edges=edges(framed=route),
                forget=draft.config.overrides.optimize_context_window,
                origin=draft.origin(*at),
            )
        )

    def _fill(self, listener: str, called: list[Indexed], route: int, miss: int) -> int:
        call = self._call(f"call {listener}", called, route, history=False)
        if self._filler is None:
            return call  # a mistake, which is reported
        ask = self._draft.reply("ask", 200, "")
        return self._draft.add(
            Fill(
                name=f"fill {listener}",
                use=self._filler,
                targets=tuple(one.name for _, one in called),
                edges=edges(filled=call, ask=ask, none=miss, failed=ask),
                timeout=self._draft.config.prompting.timeout,
                origin=self._draft.origin("prompt_targets"),
                asks=self._filler_asks,
            )
        )

    def _call(self, name: str, targets: list[Indexed], route: int, *, history: bool) -> int:
        draft = self._draft
        prompting = draft.config.prompting
        reply = draft.reply("call failed", 0, "upstream_application_error")
        return draft.add(
            Call(
                name=name,
                targets=tuple(calls.target(draft, *one, history=history) for one in targets),
                edges=(
                    Edge("answered", route),
                    Edge("verbatim", END),
                    Edge("failed", services.told(draft, f"tell of {name}", "FunctionCallError", reply)),
                ),
                timeout=prompting.call_timeout,
                retries=prompting.call_retries,
                most=prompting.max_steps,
                forget=draft.config.overrides.optimize_context_window,
                origin=draft.origin("prompt_targets", targets[0][0]),
            )
        )

    # What all listeners share.

    def _match_with(self) -> Use | None:
        draft = self._draft
        implied: dict[str, object] = {}
        threshold = draft.config.overrides.prompt_target_intent_matching_threshold
        if threshold is not None:
            implied["threshold"] = threshold
        return self._kind(
            "matcher",
            draft.config.prompting.matcher,
            "matcher",
            options=tuple(
                Option(name=one.name, description=one.description, examples=one.examples)
                for _, one in self._matched
            ),
            implied=implied,
        )

    def _fill_with(self) -> Use | None:
        intents = tuple(
            Intent(one.name, one.description, tuple(calls.slot(parameter) for parameter in one.parameters))
            for _, one in self._called
        )
        return self._kind(
            "slot_filler", self._draft.config.prompting.slot_filler, "slot_filler", intents=intents
        )

    def _kept(self) -> State:
        prompting = self._draft.config.prompting
        store = None
        if prompting.state == "server":
            store = self._kind("store", prompting.state_store, "state_store", default="memory")
        return State(prompting.state, store, prompting.state_ttl)

    def _kind(
        self,
        family: str,
        named: PromptKind | None,
        key: str,
        *,
        default: str = COMPOSITE,
        options: tuple[Option, ...] = (),
        intents: tuple[Intent, ...] = (),
        implied: dict[str, object] | None = None,
    ) -> Use | None:
        at: Path = ("prompting", key)
        return chosen.use(
            self._draft,
            family,
            named.kind if named is not None else default,
            key.replace("_", " "),
            at if self._draft.unit.places.said(*at) else ("prompt_targets",),
            known=("kind",),
            entry=f"prompting.{key}",
            options=options,
            intents=intents,
            implied=implied,
        )
