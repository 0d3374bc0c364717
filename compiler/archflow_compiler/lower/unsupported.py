"""What a configuration may say and this version does not do yet.

What changes the answers that clients get is refused, for a gateway without it would be another one. What only tunes,
saves or observes is a warning. Either way its keys were decoded and checked like all others.

Rule: a section leaves this list in the change that adds its nodes.
Invariant: nothing that a user wrote is ignored silently.
"""

from __future__ import annotations

from archflow_compiler.passes.prompts import takes_prompts
from archflow_compiler.tree import Path
from archflow_compiler.unit import Unit
from archflow_schema.config import Config

_WITHOUT_EFFECT: tuple[tuple[Path, str], ...] = (
    (("prompt_caching",), "the prompt caches of providers are not managed yet"),
    (("overrides", "disable_signals"), "conversations are not judged yet"),
    (("tracing", "span_attributes", "header_prefixes"), "request headers do not become span attributes yet"),
)
"""Path -> why it has no effect yet."""

_NEVER: tuple[tuple[Path, str], ...] = (
    (("mode",), "Arch reads this key and does nothing with it, and so do we"),
    (
        ("tracing", "trace_arch_internal"),
        "a request makes no internal hops here, so there is nothing more to trace",
    ),
)
"""Path -> why it has no effect at all."""


def report(unit: Unit) -> None:
    """Say what is refused and what has no effect yet."""
    _refused(unit)
    for path, why in _WITHOUT_EFFECT:
        if unit.places.said(*path):
            unit.warning("no-effect-yet", f'"{path[-1]}" has no effect yet: {why}', unit.places.key(*path))
    for path, why in _NEVER:
        if unit.places.said(*path):
            unit.warning("no-effect", f'"{path[-1]}" has no effect: {why}', unit.places.key(*path))
    _unused(unit)


def _refuse(unit: Unit, path: Path, what: str) -> None:
    unit.error(
        "not-yet-supported",
        f"{what} not supported yet",
        unit.places.key(*path),
        detail="it was read and checked; the part of the gateway that does it comes with a later version",
        fix="leave it out for now",
    )


def _refused(unit: Unit) -> None:
    config = unit.config
    if config.state_storage is not None and config.state_storage.type == "postgres":
        _refuse(unit, ("state_storage", "type"), "state in PostgreSQL is")
    if config.routing.session_cache.type == "redis":
        _refuse(unit, ("routing", "session_cache", "type"), "sessions in redis are")


_ROUTING = ("session_ttl_seconds", "session_max_entries", "session_cache", "routing_budget")


def _unrouted(unit: Unit) -> None:
    """What only a router uses, where there is none."""
    config = unit.config
    preferred = any(provider.routing_preferences for provider in config.model_providers)
    if preferred or config.routing_preferences or config.routing.router is not None:
        return
    paths: list[Path] = [("routing", key) for key in _ROUTING]
    for path in (*paths, ("model_metrics_sources",)):
        if unit.places.said(*path):
            unit.warning(
                "no-effect",
                f'"{path[-1]}" has no effect: no model is chosen by routing preferences',
                unit.places.key(*path),
            )


def _unused(unit: Unit) -> None:
    """Sections that are complete in themselves and that nothing uses."""
    config = unit.config
    _unrouted(unit)
    listeners = config.listeners
    orchestrated = config.overrides.use_agent_orchestrator
    if config.endpoints and not config.prompt_targets and config.error_target is None and not orchestrated:
        _warn_unused(unit, "endpoints", "only prompt targets call endpoints, and there are none")
    targeted = any(takes_prompts(config, listener) for listener in listeners)
    if config.system_prompt and not targeted:
        _warn_unused(unit, "system_prompt", "only listeners of type prompt use it, and there is none")
    if orchestrated and not targeted:
        unit.warning(
            "no-effect",
            '"use_agent_orchestrator" has no effect: only prompt targets are handed over, and no listener has them',
            unit.places.key("overrides", "use_agent_orchestrator"),
            fix="add a listener with `type: prompt`",
        )
    for key in ("prompt_guards", "prompt_targets"):
        if getattr(config, key) and not targeted:
            why = "only listeners of type prompt have them, and those of type agent that name prompt targets"
            _warn_unused(unit, key, f"{why}, and there is none")
    if config.error_target is not None and not _tells(config):
        _warn_unused(
            unit, "error_target", "only prompt targets and prompt_guards tell it, and no listener has them"
        )
    used = {name for one in listeners for name in one.input_filters}
    used |= {target.endpoint.name for target in config.prompt_targets if target.endpoint is not None}
    served = any(listener.type == "agent" for listener in listeners)
    if config.agents and not served and not any(agent.id in used for agent in config.agents):
        _warn_unused(
            unit, "agents", "no listener of type agent chooses them, and no filter or prompt target is one"
        )
    if not served:
        for key in ("agent_orchestration_model", "orchestrator_model_context_length"):
            if unit.places.said("overrides", key):
                unit.warning(
                    "no-effect",
                    f'"{key}" has no effect: only listeners of type agent choose agents, and there is none',
                    unit.places.key("overrides", key),
                )
    if config.filters and not any(one.input_filters or one.output_filters or one.agents for one in listeners):
        _warn_unused(unit, "filters", "no listener names one")
    if unit.places.said("routing", "unknown_model") and not any(one.type == "model" for one in listeners):
        unit.warning(
            "no-effect",
            '"unknown_model" has no effect: it is for listeners of type model, and there is none',
            unit.places.key("routing", "unknown_model"),
        )
    for index, listener in enumerate(listeners):
        if listener.max_retries:
            unit.warning(
                "no-effect-yet",
                '"max_retries" has no effect yet: a failed request is not tried again',
                unit.places.key("listeners", index, "max_retries"),
            )
        if listener.router and listener.type != "agent":
            unit.warning(
                "no-effect",
                '"router" has no effect: only listeners of type agent choose agents',
                unit.places.key("listeners", index, "router"),
            )
        if listener.agents and listener.type != "agent":
            unit.error(
                "agents-at-model",
                f"a listener of type {listener.type} has no agents",
                unit.places.key("listeners", index, "agents"),
                fix="write `type: agent`"
                + (", or a prompt target whose endpoint is the agent" if listener.type == "prompt" else ""),
            )


def _tells(config: Config) -> bool:
    """Whether anything tells the error target."""
    guards = config.prompt_guards
    judged = guards.input_guards if guards is not None else None
    forwards = judged is not None and judged.jailbreak.on_exception.forward_to_error_target
    return any(takes_prompts(config, one) for one in config.listeners) and bool(
        config.prompt_targets or forwards
    )


def _warn_unused(unit: Unit, key: str, why: str) -> None:
    unit.warning("no-effect", f'"{key}" has no effect: {why}', unit.places.key(key))
