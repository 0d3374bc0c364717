"""The author's test kit: it accepts a sound kind, and each way of being unsound makes it complain."""

import itertools
import os
from typing import Any

import pytest
import trio
from msgspec import Struct

from archflow_plugins.contexts import RunContext
from archflow_plugins.kinds import (
    Admission,
    Choice,
    Empty,
    Guard,
    Matcher,
    Question,
    Router,
    SlotFiller,
    Store,
    Tracer,
)
from archflow_plugins.stores.memory import Memory, MemoryConfig
from archflow_plugins.testing import Broken, check_kind, compile_kind, conversation, record, run_context
from archflow_plugins.verdict import ALLOW, Passed, Screen, Verdict
from archflow_schema.text import Env, compile_text


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    word: str = "x"


class Sound(Guard):
    kind = "guard.sound"
    config = Config

    def check_nowait(self, conversation):
        return (
            Verdict(allow=False, message="no") if self.settings.word in conversation.last_user_text else ALLOW
        )


class Waiting(Guard):
    kind = "guard.waiting"
    waits = True

    async def check(self, conversation):
        await trio.sleep(3600)
        return ALLOW


class Fixed(Router):
    kind = "router.fixed"

    async def choose(self, conversation):
        return Choice(option="m", reason="first") if conversation.messages else Choice()


class Nearest(Matcher):
    kind = "matcher.nearest"

    async def match(self, conversation):
        return Choice(option="t", reason="first") if conversation.messages else Choice()


class Asking(SlotFiller):
    kind = "slot_filler.asking"

    async def fill(self, conversation, targets):
        return Question("which city?", ("city",))


@pytest.mark.parametrize("kind", [Sound, Waiting, Fixed, Nearest, Asking])
def test_sound_kinds_pass(kind):
    check_kind(kind, conversations=[conversation("user: xyz")])


def broken(kind: type, match: str, config: Any = None, **more: Any) -> None:
    with pytest.raises(Broken, match=match):
        check_kind(kind, config, **more)


def test_names():
    broken(type("A", (Sound,), {"kind": "sound"}), "a guard is called guard.<name>")
    broken(type("A", (Sound,), {"kind": "guard.Sound"}), "lower case")


class Loose(Struct, frozen=True):
    word: str = ""


class Changeable(Struct, forbid_unknown_fields=True):
    word: str = ""


def test_structs():
    broken(type("A", (Sound,), {"config": Loose}), "forbid_unknown_fields=True")
    broken(type("A", (Sound,), {"config": Changeable}), "frozen=True")


def test_configurations():
    broken(Sound, "does not fit .*unknown field `wrod`", {"wrod": "y"})
    broken(Sound, "does not fit .*Expected `str`", {"word": 1})


def test_reported_mistakes():
    class Picky(Sound):
        @classmethod
        def compile(cls, config, ctx):
            ctx.error("bad-word", "not this one", "word")
            return config

    broken(Picky, "reports bad-word: not this one")


def test_compile_must_be_deterministic():
    class Random(Sound):
        numbers = itertools.count()

        @classmethod
        def compile(cls, config, ctx):
            return Config(word=str(next(cls.numbers)))

    broken(Random, "something else the second time")


def test_compile_must_return_its_struct():
    class Wrong(Sound):
        @classmethod
        def compile(cls, config, ctx):
            return Empty()

    broken(Wrong, "return a .*Config")


class Lossy(Struct, frozen=True, forbid_unknown_fields=True):
    value: Any = None


def test_compiled_must_survive_storage():
    class Unstorable(Guard):
        kind = "guard.unstorable"
        compiled = Lossy

        @classmethod
        def compile(cls, config, ctx):
            return Lossy(value={1: "a"})

    broken(Unstorable, "returns what the graph cannot store: Only dicts with str keys")

    class Typed(Struct, frozen=True, forbid_unknown_fields=True):
        value: int = 0

    class Mistyped(Unstorable):
        compiled = Typed

        @classmethod
        def compile(cls, config, ctx):
            return Typed(value="text")  # msgspec does not check what a constructor is given

    broken(Mistyped, "cannot be read back")


def test_open_must_return_an_instance():
    class Elsewhere(Sound):
        @classmethod
        async def open(cls, compiled, ctx):
            return None

    broken(Elsewhere, "return an instance of the class")


def test_a_file_left_open_is_noticed():
    class Leaky(Sound):
        @classmethod
        async def open(cls, compiled, ctx):
            self = cls(compiled, ctx)
            self.fd = os.open("/dev/null", os.O_RDONLY)
            opened.append(self.fd)
            return self

    opened: list[int] = []
    try:
        broken(Leaky, "leaves open .*/dev/null")
    finally:
        for descriptor in opened:
            os.close(descriptor)


def test_a_file_left_open_by_a_cancelled_open_is_noticed():
    class Careless(Sound):
        @classmethod
        async def open(cls, compiled, ctx):
            self = cls(compiled, ctx)
            self.fd = os.open("/dev/null", os.O_RDONLY)
            opened.append(self.fd)
            await trio.lowlevel.checkpoint()
            return self

        async def close(self):
            opened.remove(self.fd)
            os.close(self.fd)

    opened: list[int] = []
    try:
        broken(Careless, "leaves open .*/dev/null")
    finally:
        for descriptor in opened:
            os.close(descriptor)


def test_swallowing_a_cancellation_into_an_error_is_noticed():
    class Angry(Sound):
        @classmethod
        async def open(cls, compiled, ctx):
            try:
                await trio.lowlevel.checkpoint()
            except trio.Cancelled as cancelled:
                raise OSError("connection lost") from cancelled
            return cls(compiled, ctx)

    broken(Angry, r"raises OSError\('connection lost'\) when it is cancelled at checkpoint")


@pytest.mark.parametrize(
    ("verdict", "complaint"),
    [
        (True, "check returns True"),
        (Verdict(allow=True, score=2), "score 2"),
        (Verdict(allow=False), "denies without a message"),
    ],
)
def test_verdicts(verdict, complaint):
    broken(type("A", (Sound,), {"check_nowait": lambda self, _: verdict}), complaint)


def test_check_and_check_nowait_must_agree():
    class Twofold(Sound):
        async def check(self, conversation):
            return Verdict(allow=False, message="no")

    broken(Twofold, "disagree")


@pytest.mark.parametrize(
    ("kind", "method", "complaint"),
    [
        (Fixed, "choose", "choose returns 1"),
        (Nearest, "match", "match returns 1"),
        (Asking, "fill", "fill returns 1"),
    ],
)
def test_answers_of_the_wrong_type(kind, method, complaint):
    async def wrong(self, conversation, targets=()):
        return 1

    broken(type("A", (kind,), {method: wrong}), complaint)


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (lambda key, cost, capacity: Admission(admitted=False), "refuses the first charge"),
        (lambda key, cost, capacity: Admission(admitted=True), "for an empty bucket"),
        (lambda key, cost, capacity: Admission(admitted=cost == 10, retry_after=1), "mixes up two keys"),
        (
            lambda key, cost, capacity: Admission(admitted=cost == 10 or key == "b", retry_after=1),
            "does not give back",
        ),
        (
            lambda key, cost, capacity: Admission(admitted=cost != 1 or key == "b", retry_after=1),
            "more than a bucket holds",
        ),
    ],
)
def test_stores(answer, complaint):
    class Wrong(Store):
        kind = "store.wrong"

        def charge_nowait(self, key, cost, capacity, period):
            return answer(key, cost, capacity)

        def settle_nowait(self, key, difference, capacity, period):
            pass

    broken(Wrong, complaint)


def test_tracers():
    class Failing(Tracer):
        kind = "tracer.failing"

        def finish(self, record):
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        check_kind(Failing)

    class Vague(Tracer):
        kind = "tracer.vague"

        def sample(self, record):
            return None

        def finish(self, record):
            pass

    broken(Vague, "sample returns None")


def test_conversation():
    built = conversation("system: be brief", "user: a: b", "assistant:hello", model="m", stream=True)
    assert [(message.role, message.text) for message in built.messages] == [
        ("system", "be brief"),
        ("user", "a: b"),
        ("assistant", "hello"),
    ]
    assert (built.model, built.stream) == ("m", True)
    for turn in ("hello", "robot: hi", ""):
        with pytest.raises(ValueError, match="names no role: begin it with one of system"):
            conversation(turn)


def test_record_can_be_changed():
    assert record().status == 200
    assert record(status=500, attempts=[]).attempts == []


def test_compile_kind_gives_blobs():
    class Keeping(Sound):
        @classmethod
        def compile(cls, config, ctx):
            return Config(word=ctx.blob(b"data"))

    compiled, (blob,) = compile_kind(Keeping)
    assert (compiled.word, blob.data) == (blob.digest, b"data")
    context = run_context(blobs=[blob])
    assert context.blob(blob.digest) == b"data"
    assert context.view(blob.digest).obj is blob.data.obj
    check_kind(Keeping)


@pytest.mark.trio
async def test_run_context():
    context = run_context("me", environment={"A": "1"})
    assert isinstance(context, RunContext)
    assert (context.name, context.text(compile_text("$A-b")), context.clock()) == ("me", "1-b", 0.0)
    with pytest.raises(KeyError):
        context.text((Env("B"),))
    with pytest.raises(KeyError):
        context.blob("none")
    assert await context.offload(lambda: 7) == 7
    context.log("event", level="info", number=1)


def test_memory_store_is_what_the_kit_asks_for():
    check_kind(Memory, MemoryConfig(max_keys=10))


class Listener(Screen):
    """Lets go what it is told to, for each portion and at the end."""

    def __init__(self, portion, end):
        self.portion, self.end = portion, end

    def feed_nowait(self, text, *, end):
        told = self.end if end else self.portion
        return told(len(text)) if callable(told) else told


def judges(portion, end):
    """A guard of replies with such screens."""

    class Judging(Guard):
        kind = "guard.judging"
        sides = ("output",)

        def screens(self, asked):
            return lambda channel: Listener(portion, end) if channel == "text" else None

    return Judging


def all_of(length):
    return [Passed(length)] if length else []


def test_guards_of_replies():
    check_kind(judges(all_of, all_of))
    check_kind(judges((), Verdict(allow=False, message="no")))
    broken(judges((), ()), "neither passes nor denies the last")
    broken(judges(lambda length: [Passed(length + 1)], all_of), "more leave of `text` than was said")
    broken(judges(all_of, ALLOW), "and not by a Verdict")
    broken(judges(all_of, Verdict(allow=False)), "denies without a message")
