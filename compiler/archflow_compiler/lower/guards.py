"""Guards of requests -> nodes, each before the next, all of them before whatever serves the request.

::

    [jailbreak of prompt_guards ->] guard -> guard -> following
              | deny                 | failed: reply 503, or as allow where it fails open
              v                      v
       the message as an answer, or reply 400, once the error target was told if the configuration says so

Rule: what a guard denied is answered here; no edge but `allow`, and `failed` of one that fails open, leads on.
"""

from __future__ import annotations

from typing import Literal

from archflow_compiler.lower import chosen, services
from archflow_compiler.lower.draft import Draft, edges
from archflow_compiler.passes.prompts import takes_prompts
from archflow_compiler.tree import Path
from archflow_schema.config import Listener as ListenerConfig
from archflow_schema.config.prompts import Jailbreak
from archflow_schema.graph import Guard, Use

PROMPT_GUARD = "jailbreak"
_PROMPT_GUARD_AT: Path = ("prompt_guards", "input_guards", PROMPT_GUARD)
KNOWN = ("kind", "name", "fail", "status")
"""The keys of a guard that are not its kind's own."""


class Guards:
    """The guards of a configuration; what all listeners that take prompts share of them is compiled once."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._jailbreak: tuple[Jailbreak, Use] | None = None
        config = draft.config
        judged = config.prompt_guards.input_guards if config.prompt_guards is not None else None
        if judged is not None and any(takes_prompts(config, one) for one in config.listeners):
            section = judged.jailbreak
            kind = draft.registry.kind(f"guard.{PROMPT_GUARD}")
            at = (*_PROMPT_GUARD_AT, "on_exception")
            said = kind.config(message=section.on_exception.message)
            used = draft.use(kind, said, PROMPT_GUARD, at, "prompt_guards.jailbreak")
            self._jailbreak = None if used is None else (section, used[0])
            if section.on_exception.forward_to_error_target and config.error_target is None:
                draft.unit.warning(
                    "no-effect",
                    '"forward_to_error_target" has no effect: there is no error_target',
                    draft.unit.places.key(*at, "forward_to_error_target"),
                    fix="add `error_target:` with a name and a path",
                )

    def before(self, listener: ListenerConfig, at: Path, following: int) -> int:
        """The node where a listener's requests are judged first; `following` is served what all guards allow."""
        for number in reversed(range(len(listener.guards))):
            following = self._named(listener, (*at, "guards", number), number, following)
        if self._jailbreak is not None and takes_prompts(self._draft.config, listener):
            section, use = self._jailbreak
            status, fail = section.on_exception.status, section.fail
            following = self._add(
                PROMPT_GUARD,
                use,
                listener,
                _PROMPT_GUARD_AT,
                following,
                status=status,
                fail=fail,
                told=section.on_exception.error_handler
                if section.on_exception.forward_to_error_target
                else None,
            )
        return following

    def _named(self, listener: ListenerConfig, at: Path, number: int, following: int) -> int:
        guard = listener.guards[number]
        label = guard.name or guard.kind
        entry = f"listeners.{listener.name}.guards.{number}"
        used = chosen.use(self._draft, "guard", guard.kind, label, at, known=KNOWN, entry=entry, side="input")
        if used is None:
            return following
        return self._add(label, used, listener, at, following, status=guard.status, fail=guard.fail)

    def _add(
        self,
        label: str,
        use: Use,
        listener: ListenerConfig,
        at: Path,
        following: int,
        *,
        status: int,
        fail: Literal["closed", "open"],
        told: str | None = None,
    ) -> int:
        """Add a guard; `told` is where the error target is told of what it denies, empty for its own path."""
        draft = self._draft
        name = named(draft, f"guard {label}", listener)
        deny = denied(draft, status)
        if told is not None:
            deny = services.told(draft, f"tell of {name}", "PromptGuardError", deny, told)
        return draft.add(
            Guard(
                name=name,
                use=use,
                edges=edges(
                    allow=following,
                    deny=deny,
                    failed=following if fail == "open" else failed(draft),
                ),
                origin=draft.origin(*at),
                label=label,
                fail=fail,
            )
        )


def named(draft: Draft, guard: str, listener: ListenerConfig) -> str:
    """The name of a guard's node, which tells its listener where there are several."""
    return f"{guard} ({listener.name})" if len(draft.config.listeners) > 1 else guard


def denied(draft: Draft, status: int) -> int:
    """The node that answers with a guard's message: as an error, or as an answer."""
    code = "guard_denied" if status >= 400 else ""
    return draft.reply("guard denied" if code else "guard answers", status, code)


def failed(draft: Draft) -> int:
    """The node that answers where a guard could not judge."""
    return draft.reply("guard failed", 503, "guard_failed")
