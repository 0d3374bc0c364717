"""The test kit for authors of plugins: contexts to call a kind with, conversations, and its contract as one call.

::

    from archflow_plugins.testing import check_kind, conversation

    def test_contract():
        check_kind(Length, {"max_characters": 10}, conversations=[conversation("user: a long question")])

Rule: needs no test framework; what breaks the contract raises `Broken`, an AssertionError that says what to do.
Rule: no clock but trio's own mock clock: a kind that sleeps is tested at once.
"""

from __future__ import annotations

import gc
import math
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import msgspec
import trio
import trio.testing
from msgspec import Struct

from archflow_plugins.contexts import Ask, CompileContext, Fetch, Option, RunContext, encode_compiled
from archflow_plugins.kinds import (
    Choice,
    Dialect,
    Filter,
    Gauge,
    Guard,
    Kind,
    Matcher,
    Provider,
    ProviderConfig,
    Router,
    SlotFiller,
    Store,
    Tracer,
    UpstreamRequest,
    compiled_type,
    family_of,
)
from archflow_plugins.record import Attempt, Record
from archflow_plugins.verdict import Channel, Screen, Side, Verdict
from archflow_schema.conversation import Conversation, Message, Role, TextPart
from archflow_schema.diagnostic import Range, Report
from archflow_schema.errors import ArchflowError, ClientProtocolError, FilterRefused
from archflow_schema.graph import Blob
from archflow_schema.slots import Filled, Intent, Question
from archflow_schema.text import Env, Secret

CHECKPOINTS_AT_MOST = 200
"""How many checkpoints of opening and closing are tried with a cancellation."""


class Broken(AssertionError):
    """A kind breaks its contract; the text says where and what to do."""


def conversation(*turns: str, model: str = "", stream: bool = False) -> Conversation:
    """A conversation from lines such as `"system: be brief"` and `"user: hi"`.

    Raises:
        ValueError: a turn names no role.
    """
    messages: list[Message] = []
    for turn in turns:
        role, colon, text = turn.partition(":")
        if not colon or role not in get_args(Role):
            raise ValueError(
                f"{turn!r} names no role: begin it with one of {', '.join(get_args(Role))}, and a colon"
            )
        messages.append(Message(role=role, parts=(TextPart(text.removeprefix(" ")),)))  # type: ignore[arg-type]
    return Conversation(model=model, messages=tuple(messages), stream=stream)


def compile_context(
    name: str = "test",
    report: Report | None = None,
    *,
    options: Iterable[Option] = (),
    intents: Iterable[Intent] = (),
    side: Side = "input",
) -> CompileContext:
    """A context to compile with; what the kind reports is in `report`, at ranges that name the path as the file."""

    def locate(*path: str | int) -> Range:
        return Range(file=".".join(map(str, path)) or name, line=1, column=1, end_line=1, end_column=1)

    return CompileContext(
        name,
        Report() if report is None else report,
        locate,
        options=tuple(options),
        intents=tuple(intents),
        side=side,
    )


def run_context(
    name: str = "test",
    *,
    environment: Mapping[str, str] | None = None,
    blobs: Iterable[Blob] = (),
    clock: Callable[[], float] | None = None,
    log: Callable[..., None] | None = None,
    ask: Ask | None = None,
    fetch: Fetch | None = None,
) -> RunContext:
    """A context to open with.

    Args:
        name: the use's name.
        environment: what Texts refer to; a name that is not there raises KeyError, as in the engine.
        blobs: what the compile context kept.
        clock: seconds; 0 for ever if not given.
        log: takes the kind's log lines; they are dropped if not given.
        ask: answers for the models that the kind asks.
        fetch: answers for the services that the kind asks.
    """
    values = dict(environment or {})

    def lookup(reference: Env | Secret) -> str:
        return values[reference.name if isinstance(reference, Env) else reference.key]

    async def offload(work: Callable[[], object]) -> object:
        return await trio.to_thread.run_sync(work)

    return RunContext(
        name,
        lookup=lookup,
        blobs={blob.digest: blob.data for blob in blobs},
        clock=clock or (lambda: 0.0),
        offload=offload,
        log=log or (lambda *_, **__: None),
        ask=ask,
        fetch=fetch,
    )


def record(**fields: Any) -> Record:
    """A Record of a plain successful exchange, with some fields changed."""
    attempt = Attempt(
        provider="openai",
        upstream="openai/gpt-4o",
        address="192.0.2.1:443",
        span_id="00f067aa0ba902b8",
        began=0.001,
        first_byte=0.2,
        ended=0.5,
        status=200,
        outcome="streaming",
    )
    plain: dict[str, Any] = {
        "request_id": "6ba7b810-9dad-41d1-80b4-00c04fd430c8",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "span_id": "00f067aa0ba902b7",
        "started_ns": 1_763_000_000_000_000_000,
        "listener": "egress_traffic",
        "method": "POST",
        "path": "/v1/chat/completions",
        "protocol": "HTTP/1.1",
        "dialect": "openai_chat",
        "client": "192.0.2.2",
        "model_asked": "gpt-4o",
        "model": "openai/gpt-4o",
        "model_sent": "gpt-4o",
        "provider": "openai",
        "reason": "name",
        "status": 200,
        "bytes_received": 1024,
        "bytes_sent": 472,
        "first_byte": 0.2,
        "duration": 0.5,
        "attempts": [attempt],
    }
    return Record(**{**plain, **fields})


def compile_kind(
    kind: type[Kind],
    config: Struct | Mapping[str, Any] | None = None,
    *,
    options: tuple[Option, ...] = (),
    intents: tuple[Intent, ...] = (),
) -> tuple[Struct, tuple[Blob, ...]]:
    """A kind's configuration as the graph would store it, with its blobs.

    Args:
        kind: the kind.
        config: a Struct, or what would stand in the YAML.
        options: what a matcher or a router chooses among.
        intents: what a slot filler fills.

    Raises:
        Broken: the configuration does not fit, or the kind reported an error.
    """
    if not isinstance(config, Struct):
        try:
            config = msgspec.convert(config or {}, kind.config)
        except msgspec.ValidationError as error:
            raise Broken(
                f"{_name(kind)}: the configuration does not fit {_name(kind.config)}: {error}"
            ) from error
    report = Report()
    context = compile_context(kind.kind, report, options=options, intents=intents)
    compiled = kind.compile(config, context)
    if report.failed:
        found = "; ".join(f"{one.code}: {one.summary}" for one in report if one.severity == "error")
        raise Broken(
            f"{_name(kind)}.compile reports {found}: give check_kind a configuration without mistakes"
        )
    return compiled, tuple(context.blobs)


def check_kind(
    kind: type[Kind],
    config: Struct | Mapping[str, Any] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    conversations: Sequence[Conversation] = (),
    options: Iterable[Option] = (),
    intents: Iterable[Intent] = (),
    ask: Ask | None = None,
    fetch: Fetch | None = None,
) -> None:
    """Run a kind through its contract. Blocks for as long as the kind takes; starts its own trio run.

    Checked: its name and Structs; that compiling is deterministic and what it gives survives storage; that it opens
    and closes, also when cancelled at any checkpoint, without leaving a file open; and what its family promises.

    Args:
        kind: the class.
        config: a configuration without mistakes, as a Struct or as it would stand in the YAML.
        environment: values of the variables that the configuration names.
        conversations: what guards, matchers, slot fillers and routers are asked about, besides an empty one.
        options: what matchers and routers choose among.
        intents: what slot fillers fill.
        ask: answers for the models that the kind asks.
        fetch: answers for the services that the kind asks.

    Raises:
        Broken: the kind breaks its contract.
    """
    _check_declaration(kind)
    options, intents = tuple(options), tuple(intents)
    compiled, blobs = compile_kind(kind, config, options=options, intents=intents)
    _check_stored(kind, compiled, blobs, compile_kind(kind, config, options=options, intents=intents))
    stored = msgspec.msgpack.decode(encode_compiled(compiled), type=compiled_type(kind))

    async def opened(use: Callable[[Any], Awaitable[None]]) -> None:
        instance = await kind.open(
            stored,
            run_context(kind.kind, environment=environment, blobs=blobs, clock=_tick(), ask=ask, fetch=fetch),
        )
        if not isinstance(instance, kind):
            raise Broken(f"{_name(kind)}.open returns {instance!r}: return an instance of the class")
        try:
            await use(instance)
        finally:
            await instance.close()

    asked = (conversation(), *conversations)
    # Something else in this process may open a file meanwhile; what leaks, leaks twice.
    left: set[str] = set()
    for _ in range(2):
        before = _open_files()
        trio.run(
            opened,
            _exercise(kind, asked, tuple(one.name for one in intents)),
            clock=trio.testing.MockClock(autojump_threshold=0),
        )
        _check_cancellation(kind, opened)
        left = _open_files() - before
        if not left:
            return
    raise Broken(
        f"{_name(kind)} leaves open {', '.join(sorted(left))}: close it in `close`, also when cancelled"
    )


def _check_declaration(kind: type[Kind]) -> None:
    family = family_of(kind)
    dotted = getattr(kind, "kind", "")
    if not isinstance(dotted, str) or not dotted.startswith(f"{family}.") or dotted != dotted.lower():
        raise Broken(f"{_name(kind)}.kind is {dotted!r}: a {family} is called {family}.<name>, in lower case")
    for struct in (kind.config, compiled_type(kind)):
        if not struct.__struct_config__.frozen:
            raise Broken(f"{_name(struct)} can be changed: declare it with frozen=True")
    if kind.config is not ProviderConfig and not kind.config.__struct_config__.forbid_unknown_fields:
        raise Broken(
            f"{_name(kind.config)} swallows misspelt keys: declare it with forbid_unknown_fields=True"
        )


def _check_stored(
    kind: type[Kind],
    compiled: Struct,
    blobs: tuple[Blob, ...],
    again: tuple[Struct, tuple[Blob, ...]],
) -> None:
    if type(compiled) is not compiled_type(kind):
        raise Broken(f"{_name(kind)}.compile returns {compiled!r}: return a {_name(compiled_type(kind))}")
    try:
        first = encode_compiled(compiled)
    except (TypeError, ValueError) as error:
        raise Broken(f"{_name(kind)}.compile returns what the graph cannot store: {error}") from error
    if encode_compiled(again[0]) != first or again[1] != blobs:
        raise Broken(
            f"{_name(kind)}.compile gives something else the second time: use no clock, no chance, no set"
        )
    try:
        back = msgspec.msgpack.decode(first, type=compiled_type(kind))
    except msgspec.DecodeError as error:
        raise Broken(f"{_name(compiled_type(kind))} cannot be read back from the graph: {error}") from error
    if encode_compiled(back) != first:
        raise Broken(f"{_name(compiled_type(kind))} comes back from the graph as {back!r}")


def _check_cancellation(kind: type[Kind], opened: Callable[..., Awaitable[None]]) -> None:
    """Open, cancel at the n-th step, close: for each n until there is nothing left to cancel."""

    async def idle(_: object) -> None:
        await trio.lowlevel.checkpoint()

    for number in range(1, CHECKPOINTS_AT_MOST):
        cancel = _CancelAtStep(number)

        async def cancelled(cancel: _CancelAtStep = cancel) -> None:
            with trio.CancelScope() as cancel.scope:
                cancel.task = trio.lowlevel.current_task()
                await opened(idle)

        try:
            trio.run(cancelled, clock=trio.testing.MockClock(autojump_threshold=0), instruments=[cancel])
        except (Broken, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            raise Broken(
                f"{_name(kind)} raises {error!r} when it is cancelled at checkpoint {number}: let Cancelled pass, and "
                "release what was acquired in a `finally`"
            ) from error
        if not cancel.fired:
            return


class _CancelAtStep(trio.abc.Instrument):
    """Cancels a scope when its task is about to take its n-th step."""

    def __init__(self, number: int) -> None:
        self.scope: trio.CancelScope | None = None
        self.task: trio.lowlevel.Task | None = None
        self.fired = False
        self._left = number

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if self.task is not None and task is self.task and self.scope is not None and not self.fired:
            self._left -= 1
            if self._left == 0:
                self.fired = True
                self.scope.cancel()


def _exercise(
    kind: type[Kind], asked: Sequence[Conversation], intents: tuple[str, ...]
) -> Callable[[Any], Awaitable[None]]:
    """What a live instance is asked to do, by family."""

    async def use(instance: Any) -> None:
        match instance:
            case Guard():
                for one in asked:
                    if "input" in instance.sides:
                        await _judge(instance, one)
                    if "output" in instance.sides:
                        await _screen(instance, one)
            case Matcher():
                for one in asked:
                    _choice(kind, "match", await instance.match(one))
            case SlotFiller():
                for one in asked:
                    _expect(kind, "fill", await instance.fill(one, intents), Filled | Question)
            case Router():
                for one in asked:
                    _choice(kind, "choose", await instance.choose(one))
            case Filter():
                await _filter(instance)
            case Gauge():
                await _gauge(instance)
            case Store():
                await _count(instance)
                await _keep(instance)
            case Tracer():
                for sampled in (False, True):
                    seen = record(sampled=sampled)
                    _expect(kind, "sample", instance.sample(seen), bool)
                    instance.finish(seen)
                    instance.flush()
            case Dialect():
                _refuse_garbage(instance)
            case Provider():
                _address(instance)

    return use


async def _judge(guard: Guard, asked: Conversation) -> None:
    verdict = await guard.check(asked)
    _expect(type(guard), "check", verdict, Verdict)
    if not guard.waits and guard.check_nowait(asked) != verdict:
        raise Broken(f"{_name(type(guard))}: check and check_nowait disagree: implement only one of them")
    _sound(guard, verdict)


async def _screen(guard: Guard, asked: Conversation) -> None:
    """A reply of each channel, in portions."""
    name = _name(type(guard))
    screens = guard.screens(lambda: asked)
    channels: tuple[Channel, ...] = ("text", "reasoning", "arguments", "cited")
    for channel in channels:
        screen = screens(channel)
        if screen is None:
            continue
        _expect(type(guard), "screens", screen, Screen)
        held = 0
        for number, portion in enumerate(_SAID, 1):
            end = number == len(_SAID)
            told = screen.feed_nowait(portion, end=end)
            if told is None:
                told = await screen.feed(portion, end=end)
            if isinstance(told, Verdict):
                _sound(guard, told)
                if told.allow:
                    raise Broken(f"{name}: a screen says by `Passed` what may leave, and not by a Verdict")
                break
            held += len(portion) - sum(one.length for one in told)
            if held < 0:
                raise Broken(f"{name} lets more leave of `{channel}` than was said")
            if end and held:
                raise Broken(f"{name} neither passes nor denies the last {held} characters of `{channel}`")


_SAID = ("Hello, I am ", "me@exam", "", "ple.com, +44 20 79", "46 0958")


def _sound(guard: Guard, verdict: Verdict) -> None:
    if not 0 <= verdict.score <= 1:
        raise Broken(f"{_name(type(guard))} gives the score {verdict.score}: a score lies between 0 and 1")
    if not verdict.allow and not verdict.message:
        raise Broken(f"{_name(type(guard))} denies without a message: tell the client why")


async def _filter(one: Filter) -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"hello"}]}'
    try:
        _expect(type(one), "request", await one.request("/v1/chat/completions", body), bytes)
    except FilterRefused as refused:
        if not 400 <= refused.status < 600:
            raise Broken(
                f"{_name(type(one))} refuses with status {refused.status}: an error lies between 400 and 599"
            ) from refused


def _choice(kind: type[Kind], method: str, chosen: Choice) -> None:
    _expect(kind, method, chosen, Choice)
    if not 0 <= chosen.confidence <= 1:
        raise Broken(f"{_name(kind)} is confident by {chosen.confidence}: a confidence lies between 0 and 1")
    if chosen.option and not chosen.reason:
        raise Broken(f"{_name(kind)}.{method} chooses without a reason: say in one word how it was found")


async def _gauge(gauge: Gauge) -> None:
    if gauge.stale:
        try:
            await gauge.renew()
        except ArchflowError:
            if gauge.stale:
                raise Broken(
                    f"{_name(type(gauge))} is stale again as soon as it failed: let a while pass"
                ) from None
    for model, number in gauge.readings().items():
        if not math.isfinite(number):
            raise Broken(f"{_name(type(gauge))} says {model!r}: {number!r}: a number for each model's name")


async def _count(store: Store) -> None:
    name = _name(type(store))
    first = await store.charge("a", 10, 10, 60)
    if not first.admitted:
        raise Broken(f"{name} refuses the first charge of a whole bucket: a bucket begins full")
    second = await store.charge("a", 1, 10, 60)
    if second.admitted or not 0 < second.retry_after <= 60:
        raise Broken(
            f"{name} answers {second} for an empty bucket: refuse, with the seconds until it is admitted"
        )
    if not (await store.charge("b", 1, 10, 60)).admitted:
        raise Broken(f"{name} mixes up two keys: each has its own bucket")
    await store.settle("a", -10, 10, 60)
    if not (await store.charge("a", 5, 10, 60)).admitted:
        raise Broken(f"{name} does not give back what `settle` returned to the bucket")
    excessive = await store.charge("c", 11, 10, 60)
    if excessive.admitted or math.isfinite(excessive.retry_after):
        raise Broken(
            f"{name} answers {excessive} for more than a bucket holds: refuse, with an infinite retry_after"
        )


async def _keep(store: Store) -> None:
    name = _name(type(store))
    if await store.get("a") is not None:
        raise Broken(
            f"{name} has a value where only a counter is: the two have nothing to do with each other"
        )
    await store.put("a", b"1", 60)
    await store.put("b", b"2", 60)
    await store.put("a", bytes(range(256)), 60)
    if await store.get("a") != bytes(range(256)) or await store.get("b") != b"2":
        raise Broken(f"{name} does not give back what was put: the newest value of a key, byte by byte")
    await store.put("c", b"3", 0)
    if await store.get("c") is not None:
        raise Broken(f"{name} gives back a value whose time is over")
    await store.delete("a")
    await store.delete("never there")
    if await store.get("a") is not None or await store.get("b") is None:
        raise Broken(f"{name}.delete lets go of something else than was asked")
    await store.delete("b")


def _refuse_garbage(dialect: Dialect) -> None:
    for garbage in (b"", b"{", b"[]", b"\xff", b'{"model": 1}', b'{"stream": "yes"}', b'{"a":' * 100_000):
        try:
            dialect.decode_head(garbage)
        except ClientProtocolError:
            continue
        except Exception as error:
            raise Broken(
                f"{_name(type(dialect))}.decode_head raises {error!r} for {garbage[:20]!r}: raise ClientProtocolError"
            ) from error
        raise Broken(
            f"{_name(type(dialect))}.decode_head accepts {garbage[:20]!r}: raise ClientProtocolError"
        )
    head = dialect.decode_head(b'{"model":"a","unknown":{"x":[1, 2]}}')
    if dialect.encode_head(head, "a") != head.body:
        raise Broken(
            f"{_name(type(dialect))}.encode_head changes a request whose model stays: return its bytes"
        )
    if b'{"x":[1, 2]}' not in dialect.encode_head(head, "b"):
        raise Broken(
            f"{_name(type(dialect))}.encode_head changes more than the model: keep every other value's bytes"
        )
    tap = dialect.tap()
    for garbage in (b"", b"\r\n\r\n", b"data: {", b"\xff\n" * 100):
        tap.feed(garbage)
        dialect.summarise(garbage)


def _address(provider: Provider) -> None:
    if provider.in_process:
        return
    for dialect in provider.dialects(provider.settings):
        request = provider.request(dialect, "a/b c", stream=False)
        _expect(type(provider), "request", request, UpstreamRequest)
        if not request.path.startswith("/") or any(one <= " " for one in request.path):
            raise Broken(
                f"{_name(type(provider))} asks for the path {request.path!r}: begin with /, quote the model"
            )
        for name, value in (*request.headers, *provider.credentials(dialect, "a-key")):
            if name != name.lower() or any(one in name + value for one in "\r\n\0"):
                raise Broken(
                    f"{_name(type(provider))} sends the header {name!r}: lower case, without line breaks"
                )


def _expect(kind: type[Kind], method: str, value: object, wanted: Any) -> None:
    if not isinstance(value, wanted):
        raise Broken(f"{_name(kind)}.{method} returns {value!r}: return {wanted}")


def _tick() -> Callable[[], float]:
    """A clock that stands still: buckets do not refill while they are checked."""
    return lambda: 1000.0


def _open_files() -> set[str]:
    """What this process has open, as `number -> target`."""
    gc.collect()
    found: set[str] = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            found.add(f"{descriptor.name} -> {os.readlink(descriptor)}")  # noqa: PTH115 - text, not a path
        except OSError:  # the folder's own descriptor is closed by now
            continue
    return found


def _name(thing: type) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"
