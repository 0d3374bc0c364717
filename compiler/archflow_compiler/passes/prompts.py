"""Prompt targets, their parameters and the endpoints that they call: every name leads somewhere, once.

Rule: as every pass, it reports all that it finds and goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from archflow_compiler.tree import Path
from archflow_compiler.unit import Unit, duplicates
from archflow_schema.config import (
    PARAMETER_TYPES,
    Config,
    Listener,
    Parameter,
    PromptTarget,
    ServiceEndpoint,
)
from archflow_schema.suggest import listed
from archflow_schema.text import compile_text

OF_THE_GATEWAY = frozenset({
    "host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade",
    "expect", "accept-encoding",
})  # fmt: skip
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def agent_of(config: Config, target: PromptTarget) -> str:
    """The agent that a prompt target hands the conversation to; empty if it calls a service, or nothing.

    An agent that is named with a path is called there, as any other endpoint, for Arch does so.
    """
    endpoint = target.endpoint
    if endpoint is None or endpoint.path or any(one.name == endpoint.name for one in config.endpoints):
        return ""
    return next((one.id for one in config.agents if one.id == endpoint.name), "")


def handed_over(config: Config, target: PromptTarget) -> bool:
    """Whether a target is an agent behind the orchestrator; the default one may call its endpoint, as in Arch."""
    return config.overrides.use_agent_orchestrator and not (target.default and target.endpoint is not None)


def is_called(config: Config, target: PromptTarget) -> bool:
    """Whether a prompt target calls a service."""
    return target.endpoint is not None and not (handed_over(config, target) or agent_of(config, target))


def targets_of(config: Config, listener: Listener) -> frozenset[str]:
    """The prompt targets that a listener of type agent names; an agent of the same name stands before them."""
    if listener.type != "agent":
        return frozenset()
    agents = {agent.id for agent in config.agents}
    targets = {target.name for target in config.prompt_targets}
    return frozenset(one.id for one in listener.agents if one.id not in agents and one.id in targets)


def takes_prompts(config: Config, listener: Listener) -> bool:
    """Whether requests of a listener may become calls: what `prompt_guards` stand before."""
    return listener.type == "prompt" or bool(targets_of(config, listener))


def check(unit: Unit) -> None:
    """Check endpoints, prompt targets and what belongs to them."""
    _endpoints(unit)
    _prompt_targets(unit)
    _orchestrator(unit)


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
    if not address.isascii():
        return "its host is not ASCII: write it in punycode, as in xn--..."
    host, colon, port = address.rpartition(":")
    if ":" in host and not host.startswith("["):
        return "an IPv6 address stands between brackets, as in [::1]:80"
    if colon and "$" not in port and not (port.isdigit() and 0 < int(port[:6]) < 65_536):
        return "its port is no number from 1 to 65535"
    if any(character <= " " for character in address):
        return "it holds a space"
    return "" if (host or not colon) and address else "it names no host"


def _prompt_targets(unit: Unit) -> None:
    config = unit.config
    endpoints = {endpoint.name: endpoint for endpoint in config.endpoints}
    for name, path, first in duplicates(
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
    for name, path, first in duplicates(
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
    if handed_over(unit.config, target) or agent_of(unit.config, target):
        _handed(unit, at, target)
        return
    if target.endpoint is None:
        if not target.system_prompt:
            unit.warning(
                "no-endpoint",
                f'the prompt target "{target.name}" has neither an endpoint nor a system prompt, so it changes nothing',
                unit.places.value(*at, "name"),
                fix="add `endpoint:` with a name and a path, or a `system_prompt`",
            )
        return
    known = [*endpoints, *(agent.id for agent in unit.config.agents)]
    if target.endpoint.name not in known:
        _unknown_endpoint(unit, target.endpoint.name, known, (*at, "endpoint", "name"))
    elif not target.endpoint.path:
        unit.error(
            "missing-key",
            'the key "path" is missing: an endpoint that is no agent is called at a path',
            unit.places.value(*at, "endpoint"),
            fix="add `path: /`",
        )
    for name, _ in target.endpoint.http_headers:
        if name.lower() in OF_THE_GATEWAY or not _TOKEN.fullmatch(name):
            unit.error(
                "bad-header",
                f'the header "{name}" cannot be set',
                unit.places.key(*at, "endpoint", "http_headers", name),
                detail="it has characters that a name cannot have"
                if not _TOKEN.fullmatch(name)
                else "the gateway makes it for each call",
                fix="write `http_host` at the endpoint" if name.lower() == "host" else "leave it out",
            )
    _path(unit, (*at, "endpoint", "path"), target)


def _path(unit: Unit, at: Path, target: PromptTarget) -> None:
    """The path that a target calls, and what it takes of the parameters."""
    assert target.endpoint is not None  # noqa: S101 - only targets with an endpoint have a path
    path = target.endpoint.path.partition("?")[0]
    if "://" in path:
        unit.error(
            "bad-path",
            f'"{path}" is an address, and not a path',
            unit.places.value(*at),
            fix="write its host under `endpoints`, and here what comes after it",
        )
    needed = set(PLACEHOLDER.findall(path))
    for parameter in target.parameters:
        if parameter.name in needed and not parameter.required and parameter.default is None:
            unit.warning(
                "path-needs-value",
                f'the path needs "{parameter.name}", and nobody asks for it',
                unit.places.value(*at),
                detail="a prompt that does not say it is answered with an error, as in Arch",
                fix=f"write `required: true` at {parameter.name}, or a default",
            )
    names = [parameter.name for parameter in target.parameters]
    written = [part for part in compile_text(target.endpoint.path) if isinstance(part, str)]
    for found in (name for part in written for name in PLACEHOLDER.findall(part)):
        if found not in names:
            unit.error(
                "unknown-parameter",
                f'the path needs "{found}", and no parameter has that name',
                unit.places.value(*at),
                fix=unit.suggest(found, names) or f"add it to the parameters of {target.name}",
                arch=f"Missing value for parameter `{found}`",
            )


def _handed(unit: Unit, at: Path, target: PromptTarget) -> None:
    """What an agent has no use for, for it gets the conversation and takes what it needs from that."""
    keys: list[Path] = [("parameters",), ("auto_llm_dispatch_on_response",)]
    if handed_over(unit.config, target):
        keys.append(("endpoint",))
    else:
        keys += [("endpoint", key) for key in ("http_method", "http_headers")]
    for key in keys:
        if unit.places.said(*at, *key):
            unit.warning(
                "no-effect",
                f'"{key[-1]}" has no effect: the conversation of {target.name} is handed to an agent',
                unit.places.key(*at, *key),
                fix="leave it out",
            )


def _unknown_endpoint(unit: Unit, name: str, endpoints: Iterable[str], path: Path) -> None:
    if unit.refused(name, "endpoints", "agents"):
        return
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
    values: list[tuple[Path, object]] = [
        ((*at, "enum", number), one) for number, one in enumerate(parameter.enum)
    ]
    if parameter.default is not None and not parameter.enum:  # or it is one of them
        values.append(((*at, "default"), parameter.default))
    for path, value in values:
        if spelling in PARAMETER_TYPES and not _is_of(PARAMETER_TYPES[spelling], value):
            unit.warning(
                "value-of-another-type",
                f"{_json(value)} is no {spelling}, which {parameter.name} is",
                unit.places.value(*path),
                detail="it goes out as it is written, as in Arch",
                fix=f"write a value of type {spelling}, or `type: {_type_of(value)}`",
            )
    if parameter.enum and parameter.default is not None and parameter.default not in parameter.enum:
        unit.error(
            "default-not-in-enum",
            f"the default {parameter.default!r} is none of the values of enum",
            unit.places.value(*at, "default"),
            fix=f"choose one of {listed(map(str, parameter.enum))}",
        )


def _is_of(kind: str, value: object) -> bool:
    """Whether a value is of a parameter's type; a whole number is a float too, and true is no number."""
    if isinstance(value, bool) or kind == "bool":
        return isinstance(value, bool) and kind == "bool"
    types: dict[str, type | tuple[type, ...]] = {
        "int": int, "float": (int, float), "str": str, "list": list, "dict": dict,
    }  # fmt: skip
    return isinstance(value, types[kind])


def _type_of(value: object) -> str:
    return next(kind for kind in ("bool", "int", "float", "str", "list", "dict") if _is_of(kind, value))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


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
    elif len(unit.config.endpoints[0].endpoint) > 1:
        unit.warning(
            "no-effect",
            "an orchestrator has one address, so only the first one is asked",
            unit.places.value("endpoints", unit.config.endpoints[0].name, "endpoint", 1),
            fix="leave one address, such as that of what balances them",
        )
