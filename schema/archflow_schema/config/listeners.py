"""Where clients connect: listeners, what they accept, who guards them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from archflow_schema.config.forms import Duration, Name, Port, Size


class Tls(Struct, frozen=True):
    """Makes a listener speak TLS 1.2 and 1.3, with HTTP/2 and HTTP/1.1 by ALPN. Arch leaves this to a proxy in front.

    Relative paths begin at the folder of the file that archrun is given: graph.bin, or this configuration.

    Attributes:
        certificate: path of the PEM file with the certificate chain.
        private_key: path of the PEM file with its key.
    """

    certificate: Name
    private_key: Name


class Limits(Struct, frozen=True, kw_only=True):
    """What a listener accepts; a request beyond it gets an error in the client's form that names the limit.

    Attributes:
        head: size of the request line and headers together.
        headers: how many headers.
        body: size of the request's body.
        receive: time until a request that has begun is complete, and for a new connection to begin its first.
        idle: time that a kept-alive connection may wait for its next request.
        connections: how many may be open at once; 0 means no limit.
    """

    head: Size = 65_536
    headers: Annotated[int, Meta(ge=1, le=100_000)] = 200
    body: Size = 32 * 1024 * 1024
    receive: Duration = 60.0
    idle: Duration = 620.0
    connections: Annotated[int, Meta(ge=0)] = 0


class GuardUse(Struct, frozen=True):
    """One guard of a listener. The keys beside these are the kind's own; `archc plugins show` lists them.

    Attributes:
        kind: the guard's kind; `length` stands for `guard.length`.
        name: what logs, spans and `archc explain` call it; by default the kind.
        fail: what happens when the guard could not judge: `closed` denies with status 503, `open` lets the request, or
            the answer, on.
        status: how it denies: 400 with its message as an error, or 200 with its message as the assistant's answer. An
            answer of which the client has got a part already goes on with the message, and ends.
    """

    rest: ClassVar[bool] = True
    kind: Name
    name: Name | None = None
    fail: Literal["closed", "open"] = "closed"
    status: Literal[200, 400] = 400


class ListenerAgent(Struct, frozen=True, kw_only=True):
    """An agent that a listener of type `agent` may choose, or a prompt target or a model in its place.

    Attributes:
        id: the id of an entry of `agents`, the name of a prompt target, or of a model or an alias.
        description: what it is good for; the choice is made by it. A prompt target has one of its own.
        default: an agent or a model that is chosen when no description fits.
        input_filters: ids of filters or agents that the request passes before, in order.
    """

    id: Name
    description: str = ""
    default: bool = False
    input_filters: tuple[Name, ...] = ()


class Listener(Struct, frozen=True, kw_only=True):
    """An address that accepts clients.

    Attributes:
        name: unique among the listeners; logs and spans call it so.
        type: `model` takes requests for models, `prompt` sends prompts through guards and prompt targets first, `agent`
            chooses an agent.
        address: the address to listen at.
        port: the port; by default 12000 for `model` and 10000 for `prompt`; `agent` has no default and needs one.
        timeout: for the whole request, streamed or not. Arch 0.3 has 30 s here, which cuts long answers short.
        message_format: the form of prompts; both are the same list of messages.
        description: for people.
        guards: judges of every conversation, in order; the first that denies answers.
        output_guards: judges of every answer, streamed or not, in order; what they would stop never leaves.
        limits: what the listener accepts.
        tls: certificate and key, for https.
        router: for `agent`: who chooses: a configured model or a router kind; `matcher.composite`, or another kind of
            matcher, may choose several agents, who answer one after the other.
        agents: for `agent`: who may be chosen.
        max_retries: how often a failed request is tried again with the same model.
        input_filters: ids of filters that requests pass before they reach a model.
        output_filters: ids of filters that replies pass before they reach the client, in order: whole, or the events of
            a stream as they come.
    """

    name: Name
    type: Literal["model", "prompt", "agent"]
    address: Name = "0.0.0.0"  # noqa: S104 - a gateway serves others; Arch's default too
    port: Port | None = None
    timeout: Duration = 300.0
    message_format: Literal["openai", "huggingface"] = "openai"
    description: str = ""
    guards: tuple[GuardUse, ...] = ()
    output_guards: tuple[GuardUse, ...] = ()
    limits: Limits = Limits()
    tls: Tls | None = None
    router: str = ""
    agents: tuple[ListenerAgent, ...] = ()
    max_retries: Annotated[int, Meta(ge=0, le=100)] = 0
    input_filters: tuple[Name, ...] = ()
    output_filters: tuple[Name, ...] = ()


DEFAULT_PORTS: dict[str, int] = {"model": 12_000, "prompt": 10_000}
"""The port of a listener that names none, by type."""
