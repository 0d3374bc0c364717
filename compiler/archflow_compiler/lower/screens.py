"""Guards of replies -> nodes behind the guards of requests, before whatever serves those.

::

    guards -> screen -ready-> screen -ready-> filters, prompts, route or select
                | deny, failed: once there is a reply
                v
        the message as an answer, or reply 400, 503; a reply that fails open goes to the client

A reply passes the guards in the order of their nodes.

Rule: nothing that a model or an agent says comes to a client around them.
"""

from __future__ import annotations

from collections.abc import Iterator

from archflow_compiler.lower import chosen
from archflow_compiler.lower.draft import Draft, edges
from archflow_compiler.lower.guards import KNOWN, denied, failed, named
from archflow_compiler.passes.prompts import takes_prompts
from archflow_compiler.tree import Path
from archflow_schema.config import GuardUse
from archflow_schema.config import Listener as ListenerConfig
from archflow_schema.graph import END, Screen, Use


class Screens:
    """The guards of replies of a configuration; what all listeners that take prompts share of them is compiled once."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._shared: dict[Path, Use | None] = {}

    def before(self, listener: ListenerConfig, at: Path, following: int) -> int:
        """The node where a listener's replies get their first guard; `following` is served what passes."""
        for path, entry, guard in reversed(list(self._of(listener, at))):
            label = guard.name or guard.kind
            if path not in self._shared:
                self._shared[path] = chosen.use(
                    self._draft, "guard", guard.kind, label, path, known=KNOWN, entry=entry, side="output"
                )
            use = self._shared[path]
            if use is not None:
                following = self._add(listener, path, guard, label, use, following)
        return following

    def _of(self, listener: ListenerConfig, at: Path) -> Iterator[tuple[Path, str, GuardUse]]:
        prompted = self._draft.config.prompt_guards
        if prompted is not None and takes_prompts(self._draft.config, listener):
            for number, guard in enumerate(prompted.output_guards):
                yield (
                    ("prompt_guards", "output_guards", number),
                    f"prompt_guards.output_guards.{number}",
                    guard,
                )
        for number, guard in enumerate(listener.output_guards):
            entry = f"listeners.{listener.name}.output_guards.{number}"
            yield (*at, "output_guards", number), entry, guard

    def _add(
        self, listener: ListenerConfig, at: Path, guard: GuardUse, label: str, use: Use, following: int
    ) -> int:
        draft = self._draft
        return draft.add(
            Screen(
                name=named(draft, f"output guard {label}", listener),
                use=use,
                edges=edges(
                    ready=following,
                    deny=denied(draft, guard.status),
                    failed=END if guard.fail == "open" else failed(draft),
                ),
                origin=draft.origin(*at),
                label=label,
                fail=guard.fail,
            )
        )
