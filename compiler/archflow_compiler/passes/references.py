"""Names that refer to other items: listeners, endpoints, agents, filters. Each must lead somewhere, once.

Rule: as every pass, it reports all that it finds and goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from archflow_compiler.suggest import listed
from archflow_compiler.tree import Path
from archflow_compiler.unit import Unit
from archflow_schema.config import (
    PARAMETER_TYPES,
    VERSIONS,
    Config,
    Listener,
    Parameter,
    PromptTarget,
    ServiceEndpoint,
)

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_VERSION = re.compile(r"v?[0-9]+\.[0-9]+(\.[0-9]+)?(-[a-z]+)?")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_EVERYWHERE = {"0.0.0.0", "::", "[::]"}  # noqa: S104 - compared, not bound


def check(unit: Unit) -> None:
    """Check every reference outside the models."""
    _version(unit)
    _listeners(unit)
    _providers_exist(unit)
    _agents_and_filters(unit)
    _endpoints(unit)
    _prompt_targets(unit)
    _orchestrator(unit)
    _stores(unit)
    _headers(unit)


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


def _duplicates(names: Iterable[tuple[str, Path]]) -> Iterator[tuple[str, Path, Path]]:
    seen: dict[str, Path] = {}
    for name, path in names:
        if name in seen:
            yield name, path, seen[name]
        seen.setdefault(name, path)


def _listeners(unit: Unit) -> None:
    listeners = unit.config.listeners
    for name, path, first in _duplicates(
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
    needing = [one for one in unit.config.listeners if one.type in {"model", "prompt"}]
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


def _agents_and_filters(unit: Unit) -> None:
    config = unit.config
    ids: list[tuple[str, Path]] = [
        *((agent.id, ("agents", index)) for index, agent in enumerate(config.agents)),
        *((one.id, ("filters", index)) for index, one in enumerate(config.filters)),
    ]
    for name, path, first in _duplicates(ids):
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
        if name not in known:
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
    _agent_listeners(unit)


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


def _agent_listeners(unit: Unit) -> None:
    agents = [agent.id for agent in unit.config.agents]
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
            if agent.id not in agents:
                # Arch finds this out at the first request; its own reference configuration has such an agent
                unit.warning(
                    "unknown-agent",
                    f'no agent has the id "{agent.id}", so it cannot be chosen',
                    unit.places.value(*at, "agents", number, "id"),
                    fix=unit.suggest(agent.id, agents) or "add it under `agents`",
                    arch=f"Agent '{agent.id}' not found in agent map",
                )


def _endpoints(unit: Unit) -> None:
    for endpoint in unit.config.endpoints:
        for number, address in enumerate(endpoint.endpoint):
            problem = _address_problem(address)
            if problem:
                unit.error(
                    "bad-endpoint",
                    f'"{address}" is no address: {problem}',
                    unit.places.value("endpoints", endpoint.name, "endpoint", number),
                    fix="write `host` or `host:port`; `protocol` says http or https",
                )


def _address_problem(address: str) -> str:
    if "://" in address:
        return "it has a scheme"
    if "/" in address:
        return "it has a path, which belongs to the prompt target"
    host, colon, port = address.rpartition(":")
    if colon and "$" not in port and not (port.isdigit() and 0 < int(port[:6]) < 65_536):
        return "its port is no number from 1 to 65535"
    return "" if (host or not colon) and address.strip() == address and address else "it names no host"


def _prompt_targets(unit: Unit) -> None:
    config = unit.config
    endpoints = {endpoint.name: endpoint for endpoint in config.endpoints}
    for name, path, first in _duplicates(
        (one.name, ("prompt_targets", index)) for index, one in enumerate(config.prompt_targets)
    ):
        unit.error(
            "duplicate-prompt-target",
            f'two prompt targets have the name "{name}"',
            unit.places.value(*path, "name"),
            fix="give one of them another name",
            arch=f"'{name}' is not a unique name",
            first=(unit.places.value(*first, "name"), "the first stands here"),
        )
    defaults = [index for index, target in enumerate(config.prompt_targets) if target.default]
    for index in defaults[1:]:
        unit.error(
            "several-defaults",
            "two prompt targets are the default",
            unit.places.key("prompt_targets", index, "default"),
            fix="leave `default: true` at one of them",
            first=(unit.places.key("prompt_targets", defaults[0], "default"), "the first stands here"),
        )
    for index, target in enumerate(config.prompt_targets):
        _prompt_target(unit, index, target, endpoints)
    if config.error_target is not None and config.error_target.name not in endpoints:
        _unknown_endpoint(unit, config.error_target.name, endpoints, ("error_target", "name"))


def _prompt_target(
    unit: Unit, index: int, target: PromptTarget, endpoints: dict[str, ServiceEndpoint]
) -> None:
    at: Path = ("prompt_targets", index)
    for name, path, first in _duplicates(
        (one.name, (*at, "parameters", number)) for number, one in enumerate(target.parameters)
    ):
        unit.error(
            "duplicate-parameter",
            f'two parameters have the name "{name}"',
            unit.places.value(*path, "name"),
            fix="remove one of them",
            first=(unit.places.value(*first, "name"), "the first stands here"),
        )
    for number, parameter in enumerate(target.parameters):
        _parameter(unit, (*at, "parameters", number), parameter)
    if target.endpoint is None:
        if not unit.config.overrides.use_agent_orchestrator:
            unit.warning(
                "no-endpoint",
                f'the prompt target "{target.name}" has no endpoint, so it can call nothing',
                unit.places.value(*at, "name"),
                fix="add `endpoint:` with a name and a path",
            )
        return
    if target.endpoint.name not in endpoints:
        _unknown_endpoint(unit, target.endpoint.name, endpoints, (*at, "endpoint", "name"))
    names = [parameter.name for parameter in target.parameters]
    for found in _PLACEHOLDER.findall(target.endpoint.path):
        if found not in names:
            unit.error(
                "unknown-parameter",
                f'the path needs "{found}", and no parameter has that name',
                unit.places.value(*at, "endpoint", "path"),
                fix=unit.suggest(found, names) or f"add it to the parameters of {target.name}",
                arch=f"Missing value for parameter `{found}`",
            )


def _unknown_endpoint(unit: Unit, name: str, endpoints: dict[str, ServiceEndpoint], path: Path) -> None:
    unit.error(
        "unknown-endpoint",
        f'no endpoint has the name "{name}"',
        unit.places.value(*path),
        fix=unit.suggest(name, endpoints) or "add it under `endpoints`",
        arch=f"Unknown endpoint {name}, please add it in endpoints section in your arch_config.yaml file",
    )


def _parameter(unit: Unit, at: Path, parameter: Parameter) -> None:
    spelling = parameter.type
    if spelling not in PARAMETER_TYPES:
        unit.error(
            "unknown-parameter-type",
            f'"{spelling}" is no type of a parameter',
            unit.places.value(*at, "type"),
            detail="Arch takes any word that it does not know for str",
            fix=unit.suggest(spelling, PARAMETER_TYPES) or "write int, float, bool, str, list or dict",
        )
    if parameter.items is not None and PARAMETER_TYPES.get(spelling) != "list":
        unit.error(
            "items-of-no-list",
            f'"items" belongs to a list, and this parameter is of type {spelling}',
            unit.places.key(*at, "items"),
            fix="write `type: list`",
        )
    if parameter.enum and parameter.default is not None and parameter.default not in parameter.enum:
        unit.error(
            "default-not-in-enum",
            f"the default {parameter.default!r} is none of the values of enum",
            unit.places.value(*at, "default"),
            fix=f"choose one of {listed(map(str, parameter.enum))}",
        )


def _orchestrator(unit: Unit) -> None:
    if not unit.config.overrides.use_agent_orchestrator:
        return
    count = len(unit.config.endpoints)
    place = unit.places.key("overrides", "use_agent_orchestrator")
    if count == 0:
        unit.error(
            "no-orchestrator",
            "use_agent_orchestrator needs an endpoint, the orchestrator, and there is none",
            place,
            fix="add it under `endpoints`",
            arch="Please provide agent orchestrator in the endpoints section in your arch_config.yaml file",
        )
    elif count > 1:
        unit.error(
            "several-orchestrators",
            f"use_agent_orchestrator takes the only endpoint for the orchestrator, and there are {count}",
            place,
            fix="leave one endpoint",
            arch="Please provide single agent orchestrator in the endpoints section in your arch_config.yaml file",
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
    cache = unit.config.routing.session_cache
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
    for name, path in named:
        if not _TOKEN.fullmatch(name):
            unit.error("invalid-header", f'"{name}" is no name of a header', unit.places.value(*path))
