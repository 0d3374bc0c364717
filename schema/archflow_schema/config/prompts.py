"""What happens to a prompt: prompt targets and their parameters, the endpoints they call, the guards before them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from archflow_schema.config.forms import Duration, Name, OneOrMore, Pairs, Scalar
from archflow_schema.config.listeners import GuardUse

PARAMETER_TYPES: dict[str, str] = {
    "int": "int",
    "integer": "int",
    "float": "float",
    "number": "float",
    "bool": "bool",
    "boolean": "bool",
    "str": "str",
    "string": "str",
    "list": "list",
    "array": "list",
    "dict": "dict",
    "dictionary": "dict",
    "object": "dict",
}
"""The spellings of a parameter's type. Arch takes any other word for `str`; we name it."""


class Items(Struct, frozen=True):
    """What a list holds.

    Attributes:
        type: the type of each item.
    """

    type: Name = "str"


class Parameter(Struct, frozen=True, kw_only=True):
    """A value that a prompt target takes from the conversation.

    Attributes:
        name: its name.
        description: what it means.
        type: `int`, `float`, `bool`, `str`, `list` or `dict`, in any of their usual spellings.
        required: whether the user is asked for it when it is missing.
        default: what it is when nobody says.
        enum: the values that it may have.
        in_path: for people: it stands in the endpoint's path as `{name}`.
        format: how it is written, such as `City, State`.
        items: for a list: what it holds.
    """

    name: Name
    description: str
    type: Name
    required: bool = False
    default: Scalar | None = None
    enum: tuple[Scalar, ...] = ()
    in_path: bool = False
    format: str = ""
    items: Items | None = None


class TargetEndpoint(Struct, frozen=True, kw_only=True):
    """The call that a prompt target makes.

    Attributes:
        name: a key of `endpoints`, or the id of an agent.
        path: the path; `{name}` stands for a parameter, `$NAME` for a variable of the environment, and a query may
            follow. An agent without one gets the conversation instead of a call.
        http_method: GET and DELETE put the parameters into the query, the others into a JSON body.
        http_headers: extra headers.
    """

    name: Name
    path: str = ""
    http_method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    http_headers: Pairs = ()


class PromptTarget(Struct, frozen=True, kw_only=True):
    """An intent of users and the endpoint or the agent that serves it.

    Attributes:
        name: unique among the targets.
        description: what the user wants; prompts are matched with it.
        default: takes the prompts that match no other target.
        parameters: what is taken from the conversation.
        endpoint: the call to make.
        system_prompt: goes before the conversation when a model puts the endpoint's answer into words.
        auto_llm_dispatch_on_response: let a model put the endpoint's answer into words; else it is the answer.
        examples: what users say then; they sharpen the description.
    """

    name: Name
    description: str
    default: bool = False
    parameters: tuple[Parameter, ...] = ()
    endpoint: TargetEndpoint | None = None
    system_prompt: str = ""
    auto_llm_dispatch_on_response: bool = True
    examples: tuple[str, ...] = ()


class ServiceEndpoint(Struct, frozen=True, kw_only=True):
    """A service that prompt targets call.

    Attributes:
        name: what prompt targets call it: letters, digits and `_`.
        endpoint: `host`, `host:port`, or a list of them that takes turns.
        connect_timeout: until a connection is made.
        protocol: `http` (port 80) or `https` (port 443).
        http_host: the Host header, when it differs from the address.
        prefix_affinity: keep a conversation with one address of the list.
    """

    name: Annotated[str, Meta(pattern="^[a-zA-Z][a-zA-Z0-9_]*$", extra={"form": "name"})]
    endpoint: OneOrMore[str]
    connect_timeout: Duration = 0.5
    protocol: Literal["http", "https"] = "http"
    http_host: str = ""
    prefix_affinity: bool = False


class OnException(Struct, frozen=True, kw_only=True):
    """What a guard that denies does.

    Attributes:
        message: what the user reads.
        status: 200 gives the message as the assistant's answer, streamed where that was asked for; 400 as an error.
        forward_to_error_target: also tell the `error_target`.
        error_handler: the path at the `error_target`.
    """

    message: str
    status: Literal[200, 400] = 200
    forward_to_error_target: bool = False
    error_handler: Name = ""


class Jailbreak(Struct, frozen=True):
    """Refuses attempts to talk the model out of its rules.

    Attributes:
        on_exception: what happens then.
        fail: what happens when it could not judge: `closed` denies with status 503, `open` lets the prompt on.
    """

    on_exception: OnException
    fail: Literal["closed", "open"] = "closed"


class InputGuards(Struct, frozen=True):
    """The guards of prompts.

    Attributes:
        jailbreak: refuses attempts to talk the model out of its rules.
    """

    jailbreak: Jailbreak


class PromptGuards(Struct, frozen=True, kw_only=True):
    """The guards of listeners of type `prompt`.

    Attributes:
        input_guards: those that judge what users say.
        output_guards: those that judge the answers, in order, before those of the listener itself.
    """

    input_guards: InputGuards | None = None
    output_guards: tuple[GuardUse, ...] = ()


class PromptKind(Struct, frozen=True):
    """A kind that takes part in serving prompts. The keys beside this one are the kind's own.

    Attributes:
        kind: its name; `composite` stands for `matcher.composite` or `slot_filler.composite`, `memory` for
            `store.memory`.
    """

    rest: ClassVar[bool] = True
    kind: Name


class Prompting(Struct, frozen=True, kw_only=True):
    """How prompts are understood, and how long their calls may take.

    Attributes:
        matcher: who finds the prompt target that a conversation asks for.
        slot_filler: who takes the parameters from it.
        timeout: seconds that either of them may take; after that the prompt matches nothing, or the user is asked.
        call_timeout: seconds for one call of an endpoint, repetitions included.
        call_retries: how often a call that may be repeated (GET, PUT, DELETE) is tried again when it fails.
        max_steps: how many calls one prompt may make; the model that answers is told which are left out.
        state: `client` gives what was called to clients, who send it back, as with Arch; `server` keeps it here, by
            the id in the header or metadata `x-arch-conversation-id`, so that clients send their messages as ever and
            nothing else; `none` forgets it.
        state_store: where `server` keeps it; by default in memory.
        state_ttl: seconds for which it is kept.
    """

    matcher: PromptKind | None = None
    slot_filler: PromptKind | None = None
    timeout: Duration = 30.0
    call_timeout: Duration = 30.0
    call_retries: Annotated[int, Meta(ge=0, le=10)] = 3
    max_steps: Annotated[int, Meta(ge=1, le=32)] = 8
    state: Literal["client", "server", "none"] = "client"
    state_store: PromptKind | None = None
    state_ttl: Duration = 3600.0


class ErrorTarget(Struct, frozen=True, kw_only=True):
    """Where errors are told. Only Arch's documentation has it.

    Attributes:
        name: a key of `endpoints`.
        path: the path there.
    """

    name: Name
    path: Name = "/"
