"""Names that refer to other items: listeners, agents, filters, stores. Each must lead somewhere, once.

Rule: as every pass, it reports all that it finds and goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from archflow_compiler.passes.models import Names
from archflow_compiler.passes.prompts import agent_of, handed_over, targets_of
from archflow_compiler.tree import Path, texts
from archflow_compiler.unit import Unit, duplicates
from archflow_schema.config import (
    VERSIONS,
    Config,
    Listener,
)
from archflow_schema.suggest import listed
from archflow_schema.text import compile_text

_VERSION = re.compile(r"v?[0-9]+\.[0-9]+(\.[0-9]+)?(-[a-z]+)?")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNCLOSED = re.compile(r"\$\$|(\$\{)(?![A-Za-z_][A-Za-z0-9_]*\})")
"""A dollar sign by escape, or in group 1 a brace that begins no reference."""
_EVERYWHERE = {"0.0.0.0", "::", "[::]"}  # noqa: S104 - compared, not bound


def check(unit: Unit, names: Names) -> None:
    """Check every reference outside models and prompts. `names` are those of models."""
    _version(unit)
    _listeners(unit)
    _providers_exist(unit)
    _agents_and_filters(unit)
    _agent_listeners(unit, names)
    _stores(unit)
    _headers(unit)
    _hosts(unit)
    _unclosed(unit)


def _version(unit: Unit) -> None:
    version = unit.config.version
    if not unit.places.said("version"):
        unit.error(
            "missing-key",
            'the key "version" is missing',
            unit.places.value(),
            fix="add `version: v0.4.0` at the top",
            arch="'version' is a required property",
        )
    elif version and version not in VERSIONS:
        if _VERSION.fullmatch(version):
            unit.warning(
                "unknown-version",
                f"archc knows the format up to {VERSIONS[-1]}, and this file says {version}",
                unit.places.value("version"),
            )
        else:
            unit.error(
                "unknown-version",
                f'"{version}" is no version of the format',
                unit.places.value("version"),
                fix=f"write `version: {VERSIONS[-1]}`",
                arch=f"'{version}' is not one of {list(VERSIONS)}",
            )


def _listeners(unit: Unit) -> None:
    listeners = unit.config.listeners
    for name, path, first in duplicates(
        (one.name, ("listeners", index)) for index, one in enumerate(listeners)
    ):
        unit.error(
            "duplicate-listener",
            f'two listeners have the name "{name}"',
            unit.places.value(*path, "name"),
            fix="give one of them another name",
            arch=f"'{name}' is not a unique name",
            first=(unit.places.value(*first, "name"), "the first stands here"),
        )
    for index, listener in enumerate(listeners):
        if listener.port is None:
            unit.error(
                "missing-key",
                'the key "port" is missing: a listener of type agent has no default port',
                unit.places.value("listeners", index),
                fix="add `port: 8001`",
            )
        _same_port(unit, index, listener)


def _same_port(unit: Unit, index: int, listener: Listener) -> None:
    for other, before in enumerate(unit.config.listeners[:index]):
        overlap = before.address == listener.address or _EVERYWHERE & {before.address, listener.address}
        if before.port == listener.port and listener.port is not None and overlap:
            unit.error(
                "port-taken",
                f'the listener "{before.name}" already has port {listener.port}',
                unit.places.value("listeners", index, "port"),
                fix="give one of them another port",
                first=(unit.places.value("listeners", other, "port"), f'"{before.name}" stands here'),
            )
            return


def _providers_exist(unit: Unit) -> None:
    said = unit.places.node("model_providers")
    needing = [one for one in unit.config.listeners if _needs_models(unit.config, one)]
    if (
        not unit.config.model_providers
        and needing
        and (said is None or not unit.places.said("model_providers", 0))
    ):
        index = unit.config.listeners.index(needing[0])
        if any(found.code == "no-providers" for found in unit.report):
            return  # said by `migrate`, in Arch's words for the older form
        if unit.report.failed and said is not None:
            return  # they are there, and were refused one by one
        unit.error(
            "no-providers",
            "there is no model provider",
            unit.places.key("model_providers") if said is not None else unit.places.value("listeners", index),
            fix="add `model_providers:` with at least one `- model: <provider>/<model_id>`",
            arch="There must be at least one LLM Provider",
        )


def _needs_models(config: Config, listener: Listener) -> bool:
    """Whether a listener asks models of its own."""
    if listener.type == "agent":
        targets = targets_of(config, listener)
        answered = {
            one.name
            for one in config.prompt_targets
            if not (handed_over(config, one) or agent_of(config, one))
        }
        return bool(targets & answered) or (
            bool(targets) and all(one.id in targets for one in listener.agents)
        )
    return listener.type == "model" or not config.overrides.use_agent_orchestrator


def _agents_and_filters(unit: Unit) -> None:
    config = unit.config
    ids: list[tuple[str, Path]] = [
        *((agent.id, ("agents", index)) for index, agent in enumerate(config.agents)),
        *((one.id, ("filters", index)) for index, one in enumerate(config.filters)),
    ]
    for name, path, first in duplicates(ids):
        unit.error(
            "duplicate-agent",
            f'two agents or filters have the id "{name}"',
            unit.places.value(*path, "id"),
            fix="give one of them another id",
            arch=f"Duplicate agent id {name}",
            first=(unit.places.value(*first, "id"), "the first stands here"),
        )
    known = dict.fromkeys(name for name, _ in ids)
    for path, listener, key, name in _filter_references(config):
        if name not in known and not unit.refused(name, "agents", "filters"):
            available = ", ".join(sorted(known))
            unit.error(
                "unknown-filter",
                f'"{name}" is neither a filter nor an agent',
                unit.places.value(*path),
                fix=unit.suggest(name, known)
                or (f"known ids are {listed(known)}" if known else "add it under `filters`"),
                arch=f"Listener '{listener}' references {key} id '{name}' which is not defined in agents or filters. "
                f"Available ids: {available}",
            )


def _filter_references(config: Config) -> Iterator[tuple[Path, str, str, str]]:
    """Every place that names a filter: its path, its listener, its key, the id."""
    for index, listener in enumerate(config.listeners):
        at: Path = ("listeners", index)
        for key, names in (
            ("input_filters", listener.input_filters),
            ("output_filters", listener.output_filters),
        ):
            for position, name in enumerate(names):
                yield (*at, key, position), listener.name, key, name
        for number, agent in enumerate(listener.agents):
            for position, name in enumerate(agent.input_filters):
                yield (*at, "agents", number, "input_filters", position), listener.name, "input_filters", name


def _agent_listeners(unit: Unit, names: Names) -> None:
    agents = [agent.id for agent in unit.config.agents]
    known = [*agents, *(target.name for target in unit.config.prompt_targets)]
    for index, listener in enumerate(unit.config.listeners):
        at: Path = ("listeners", index)
        if listener.type == "agent" and not listener.agents:
            unit.error(
                "no-agents",
                f'the listener "{listener.name}" has no agent to choose',
                unit.places.value(*at),
                fix="add `agents:` with at least one `- id:`",
                arch=f"No agents configured for listener: {listener.name}",
            )
        for number, agent in enumerate(listener.agents):
            missing = agent.id not in known and names.called(agent.id) is None
            if missing and not unit.refused(agent.id, "agents", "prompt_targets", "model_providers"):
                # Arch finds this out at the first request; its own reference configuration has such an agent
                unit.warning(
                    "unknown-agent",
                    f'no agent has the id "{agent.id}", so it cannot be chosen',
                    unit.places.value(*at, "agents", number, "id"),
                    fix=unit.suggest(agent.id, known) or "add it under `agents`",
                    arch=f"Agent '{agent.id}' not found in agent map",
                )
            if agent.default and agent.id in targets_of(unit.config, listener):
                unit.error(
                    "default-target",
                    f'the prompt target "{agent.id}" cannot take what fits no description',
                    unit.places.key(*at, "agents", number, "default"),
                    detail="it is called with values that such a request does not hold",
                    fix="write `default: true` at an agent or a model; without any, a model answers",
                )


def _stores(unit: Unit) -> None:
    storage = unit.config.state_storage
    if storage is not None and storage.type == "postgres" and not storage.connection_string:
        unit.error(
            "missing-key",
            'the key "connection_string" is missing: postgres must be found',
            unit.places.value("state_storage", "type"),
            fix="add `connection_string: postgresql://user:$DB_PASSWORD@host:5432/name`",
        )
    if storage is not None and storage.type == "sqlite" and not storage.path:
        unit.error(
            "missing-key",
            'the key "path" is missing: sqlite must have a file',
            unit.places.value("state_storage", "type"),
            fix="add `path: /var/lib/archflow/state.db`",
        )
    cache = unit.config.routing.session_cache
    if cache.type == "sqlite" and not cache.path:
        unit.error(
            "missing-key",
            'the key "path" is missing: sqlite needs a file',
            unit.places.value("routing", "session_cache", "type"),
            fix="add `path: sessions.db`",
        )
    if cache.type == "redis" and not cache.url:
        unit.error(
            "missing-key",
            'the key "url" is missing: redis must be found',
            unit.places.value("routing", "session_cache", "type"),
            fix="add `url: redis://localhost:6379`",
        )


def _headers(unit: Unit) -> None:
    """Header names that rate limits and tracing look at."""
    named: list[tuple[str, Path]] = [
        (limit.selector.key, ("ratelimits", index, "selector", "key"))
        for index, limit in enumerate(unit.config.ratelimits)
    ]
    named += [
        (prefix, ("tracing", "span_attributes", "header_prefixes", index))
        for index, prefix in enumerate(unit.config.tracing.span_attributes.header_prefixes)
    ]
    tenant = unit.config.routing.session_cache.tenant_header
    if tenant:
        named.append((tenant, ("routing", "session_cache", "tenant_header")))
    for name, path in named:
        if not _TOKEN.fullmatch(name):
            unit.error("invalid-header", f'"{name}" is no name of a header', unit.places.value(*path))


def _hosts(unit: Unit) -> None:
    """Host headers: what is written of them must be able to stand in one."""
    config = unit.config
    named: list[tuple[str, Path]] = [
        (provider.http_host, ("model_providers", index))
        for index, provider in enumerate(config.model_providers)
    ]
    named += [(endpoint.http_host, ("endpoints", endpoint.name)) for endpoint in config.endpoints]
    for host, path in named:
        written = "".join(part for part in compile_text(host) if isinstance(part, str))
        if not all("!" <= character <= "~" and character not in "/?#@" for character in written):
            unit.error(
                "bad-host",
                f'"{host}" is no host',
                unit.places.value(*path, "http_host"),
                fix="write `host` or `host:port`, in ASCII: a name with other letters is xn--... there",
            )


def _unclosed(unit: Unit) -> None:
    """Text that looks as if it named a variable and does not. It may be a key, so it is not repeated."""
    tree = unit.places.node()
    for text, place in texts(tree) if tree is not None else ():
        if any(found[1] for found in _UNCLOSED.finditer(text)):
            unit.warning(
                "unclosed-reference",
                "`${` begins no environment reference here, so it stands for itself",
                place,
                detail="a reference is a name between braces and nothing else; defaults as in a shell are not known",
                fix="write `${NAME}`, or `$${` for the two characters",
            )
