"""What a configuration leaves unsaid: its listeners' ports, the listener that everybody expects.

Rule: a default that depends on another value is decided here; all others are the Structs' own.
"""

from __future__ import annotations

from msgspec import structs

from archflow_compiler.tree import Sequence
from archflow_compiler.unit import Unit
from archflow_schema.config import DEFAULT_PORTS, Config, Listener


def fill(unit: Unit) -> Config:
    """The configuration with its defaults."""
    config = unit.config
    listeners = tuple(_port(listener) for listener in config.listeners)
    said = unit.places.node("listeners")
    if not (said.items if isinstance(said, Sequence) else said) and config.model_providers:
        listeners = (Listener(name="egress_traffic", type="model", port=DEFAULT_PORTS["model"]),)
        if said is None:
            unit.warning(
                "no-listeners",
                "no listener is configured, so models are served at 0.0.0.0:12000",
                unit.places.key("model_providers"),
                fix="add `listeners:` with `- name: egress_traffic` and `type: model`",
                arch="'listeners' is a required property",
            )
    return structs.replace(config, listeners=listeners)


def _port(listener: Listener) -> Listener:
    if listener.port is not None or listener.type not in DEFAULT_PORTS:
        return listener
    return structs.replace(listener, port=DEFAULT_PORTS[listener.type])
