"""Filling slots: BFCL's simple, live_simple and parallel, whose one function stands in as the prompt target.

    right     all slots of the call have an accepted value, and none has another one
    slots     required slots with an accepted value, of all required slots
    asked     required slots that were left to a question
    wrong     slots, required or not, that got a value that is not accepted
    invented  of the required values that were cut out of the user's words, those that got a value all the same

Development looked at the items of the one half (by a digest of their id); the other half was only measured, and its
figures are those that count. Values are compared as BFCL's checker does it: strings without case, spaces and marks.

Proves: what is taken from requests that others wrote, for functions that others described, and how often something is
passed on that was not said. Does not prove: anything about several turns, which these sets have not, about larger
models, about other languages than English; the figures are no leaderboard figures, for nothing chooses here
whether to call, and a slot that is asked for is not a wrong answer to a gateway but is one to BFCL.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import msgspec
import trio
from figures import share
from packages import read

from archflow_plugins.contexts import RunContext
from archflow_plugins.local_models import constrain
from archflow_plugins.local_models.cache import Cache
from archflow_plugins.local_models.chat_template import Turn
from archflow_plugins.local_models.generate import Generation
from archflow_plugins.local_models.host import Host
from archflow_plugins.local_models.sample import Sampling
from archflow_plugins.slot_fillers import nearness
from archflow_plugins.slot_fillers.calling import Calling
from archflow_plugins.slot_fillers.composite import Composite, CompositeConfig
from archflow_plugins.slot_fillers.extracting import Extracting
from archflow_plugins.slot_fillers.language_model import LanguageModel
from archflow_plugins.slots import dialogue, targets
from archflow_plugins.slots import fill as filling
from archflow_plugins.testing import conversation, run_context
from archflow_schema.conversation import Conversation
from archflow_schema.errors import ClientProtocolError
from archflow_schema.reply import Reply
from archflow_schema.slots import Filled, FilledCall, Intent, Question, Slot, SlotType

LOCAL = "smollm2-135m-instruct"
SETS = ("simple_python", "live_simple")
NOW = datetime.fromisoformat("2024-02-21T10:00")
_TYPES: dict[str, SlotType] = {
    "string": "str",
    "integer": "int",
    "float": "float",
    "number": "float",
    "boolean": "bool",
    "array": "list",
    "tuple": "list",
    "dict": "dict",
    "object": "dict",
}
Fill = Callable[[Conversation], Awaitable[Filled | Question]]


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One request: what was said, the target, and the accepted values of each slot (empty text: may be left out)."""

    id: str
    asked: Conversation
    intent: Intent
    accepted: dict[str, list[Any]]
    held_out: bool


class Tally(msgspec.Struct):
    """Mutable: what was counted, and CPU seconds of all threads."""

    items: int = 0
    right: int = 0
    required: int = 0
    good: int = 0
    asked: int = 0
    filled: int = 0
    wrong: int = 0
    seconds: list[float] = []


def items(name: str) -> list[Item]:
    """The items of a set."""
    from sets import share as number_of

    answers = {row["id"]: row for row in _rows(f"possible_answer/BFCL_v4_{name}.json")}
    found = []
    for row in _rows(f"BFCL_v4_{name}.json"):
        function = row["function"][0]
        turns = [f"{one['role']}: {one['content']}" for one in row["question"][0]]
        found.append(
            Item(
                id=row["id"],
                asked=conversation(*turns),
                intent=Intent(function["name"], function["description"], _slots(function["parameters"])),
                accepted=answers[row["id"]]["ground_truth"][0][function["name"]],
                held_out=number_of(row["id"]) >= 0.5,
            )
        )
    return found


def _rows(name: str) -> list[dict[str, Any]]:
    return [
        msgspec.json.decode(line)
        for line in read("bfcl-eval", f"bfcl_eval/data/{name}").splitlines()
        if line.strip()
    ]


def _slots(parameters: dict[str, Any]) -> tuple[Slot, ...]:
    required = set(parameters.get("required", ()))
    return tuple(
        Slot(
            name,
            told.get("description", ""),
            _TYPES.get(told["type"], "str"),
            name in required,
            enum=tuple(msgspec.json.encode(one) for one in told.get("enum", ())),
            format=str(told.get("format", "")),
            items=_TYPES.get(told.get("items", {}).get("type", "string"), "str"),
        )
        for name, told in parameters["properties"].items()
    )


# Comparing.


def accepts(accepted: list[Any], value: Any) -> bool:
    """Whether a value is one of those that BFCL accepts."""
    return any(_same(one, value) for one in accepted)


def _same(one: Any, value: Any) -> bool:
    if isinstance(one, str) and isinstance(value, str):
        return _bare(one) == _bare(value)
    if isinstance(one, bool) or isinstance(value, bool):
        return one is value
    if isinstance(one, int | float) and isinstance(value, int | float):
        return float(one) == float(value)
    if isinstance(one, list) and isinstance(value, list):
        return len(one) == len(value) and all(_same(*pair) for pair in zip(one, value, strict=True))
    if isinstance(one, dict) and isinstance(value, dict):
        return all(key in one and accepts(one[key], told) for key, told in value.items()) and all(
            key in value or "" in told for key, told in one.items()
        )
    return False


def _bare(text: str) -> str:
    return re.sub(r"[ ,./\-_*^]", "", text).casefold().replace("'", '"')


def judge(item: Item, outcome: Filled | Question, tally: Tally) -> bool:
    """Count one outcome; whether the call is right."""
    call = outcome.calls[0] if isinstance(outcome, Filled) and outcome.calls else None
    values = {name: msgspec.json.decode(raw) for name, raw in call.values} if call else {}
    right = call is not None and isinstance(outcome, Filled) and len(outcome.calls) == 1
    tally.items += 1
    for slot in item.intent.slots:
        accepted = item.accepted.get(slot.name, [""])
        if slot.name in values:
            tally.filled += 1
            good = accepts(accepted, values[slot.name])
            tally.wrong += not good
        else:
            good = "" in accepted and call is not None
        right = right and good
        if slot.required:
            tally.required += 1
            tally.good += slot.name in values and good
    if isinstance(outcome, Question):
        tally.asked += len(outcome.missing)
    tally.right += right
    return right


# Cutting a value out.


def cut(item: Item) -> list[tuple[str, Conversation]]:
    """The item without one required value, for each that stands in the user's words exactly once."""
    found = []
    text = item.asked.last_user_text
    for slot in item.intent.slots:
        if not slot.required or slot.enum or slot.type in {"bool", "list", "dict"}:
            continue
        told = [
            str(one)
            for one in item.accepted.get(slot.name, ())
            if isinstance(one, str | int | float) and str(one)
        ]
        shared = [
            name
            for name, others in item.accepted.items()
            if name != slot.name and any(str(one) in told for one in others)
        ]
        for one in sorted(told, key=len, reverse=True):
            pattern = re.compile(rf"(?<![\w.])['\"]?{re.escape(one)}['\"]?(?![\w]|\.\d)", re.IGNORECASE)
            if not shared and len(pattern.findall(text)) == 1:
                left = " ".join(pattern.sub(" ", text).split())
                if left and not any(pattern.search(left) for pattern in _forms(told)):
                    found.append((slot.name, conversation(f"user: {left}")))
                break
    return found


def _forms(told: list[str]) -> list[re.Pattern[str]]:
    return [re.compile(rf"(?<!\w){re.escape(one)}(?!\w)", re.IGNORECASE) for one in told]


# Running.

Maker = Callable[[Intent], Fill]


async def measure(every: list[Item], make: Maker) -> Tally:
    """Fill the slots of items."""
    tally = Tally()
    for item in every:
        fill = make(item.intent)
        began = time.process_time()
        outcome = await fill(item.asked)
        tally.seconds.append(time.process_time() - began)
        judge(item, outcome, tally)
    return tally


async def invented(every: list[Item], make: Maker) -> tuple[int, int]:
    """How many values that were cut out were given all the same, and of how many."""
    hits = number = 0
    for item in every:
        for name, left in cut(item):
            outcome = await make(item.intent)(left)
            number += 1
            hits += not (isinstance(outcome, Question) and name in outcome.missing)
    return hits, number


def extractors(intent: Intent) -> Fill:
    """What is filled by rules alone."""
    target = filling.target(intent)

    async def filled(asked: Conversation) -> Filled | Question:
        told = dialogue.read(asked, NOW)
        chosen = targets.chosen(told, (intent.name,), {intent.name: target})
        return targets.outcome(targets.drafts(chosen, told), told)

    return filled


def composite(ctx: RunContext, encode: Any = None, model: str = "") -> Maker:
    """The default slot filler, with or without what closes its slots."""

    def make(intent: Intent) -> Fill:
        settings = Composite(
            model=model,
            optional=False,
            timeout=60.0,
            embedder="",
            embedder_digest="",
            similarity=CompositeConfig().similarity,
            timezone="UTC",
            day_first=False,
            intents=(intent,),
        )
        filler = Extracting(settings, ctx, encode)

        async def fill(asked: Conversation) -> Filled | Question:
            return await filler.run(asked, (intent.name,), NOW)

        return fill

    return make


def language_model(ctx: RunContext, *, evidence: bool) -> Maker:
    """The slot filler that asks a language model, here a local one in the form of a schema."""

    def make(intent: Intent) -> Fill:
        settings = LanguageModel(
            model=LOCAL,
            form="json_schema",
            evidence=evidence,
            tokens=2048,
            timeout=60.0,
            timezone="UTC",
            day_first=False,
            intents=(intent,),
        )
        filler = Calling(settings, ctx)

        async def fill(asked: Conversation) -> Filled | Question:
            return await filler.run(asked, (intent.name,), NOW)

        return fill

    return make


async def local(host: Host) -> tuple[Any, Callable[[], None]]:
    """What asks the local language model, and what lets it go."""
    lane = await host.language_model(Cache().ensure(Cache().find(LOCAL)))

    answered: dict[bytes, str] = {}

    async def ask(model: str, asked: Conversation, timeout: float) -> Reply:  # noqa: ARG001 - one model, however long
        key = msgspec.msgpack.encode(asked)
        if key in answered:
            return Reply(text=answered[key])
        schema = msgspec.json.decode(asked.output.schema) if asked.output else {}
        turns = [Turn(one.role, one.text) for one in asked.messages]

        def make(opened: Any, tell: Any) -> Generation:
            try:
                rule = constrain.json_schema(schema, opened.words)
                return Generation(opened, opened.prompt(turns), Sampling(max_tokens=400), tell, rule)
            except ValueError as error:
                raise ClientProtocolError(str(error)) from error

        with await lane.generate(make) as stream:
            texts: list[str] = []
            while pieces := await stream.next():
                texts += [one.text for one in pieces]
        answered[key] = "".join(texts)
        return Reply(text=answered[key])

    return ask, lane.release


async def parallel(make: Maker, *, held_out: bool = True) -> tuple[int, int, int, int]:
    """BFCL's parallel set: items, those with exactly the right calls, calls, those that are right."""
    from sets import share as number_of

    answers = {row["id"]: row["ground_truth"] for row in _rows("possible_answer/BFCL_v4_parallel.json")}
    counted = right = wanted = hits = 0
    for row in _rows("BFCL_v4_parallel.json"):
        function = row["function"][0]
        if len(row["function"]) != 1 or (number_of(row["id"]) >= 0.5) is not held_out:
            continue
        intent = Intent(function["name"], function["description"], _slots(function["parameters"]))
        turns = [f"{one['role']}: {one['content']}" for one in row["question"][0]]
        outcome = await make(intent)(conversation(*turns))
        made = list(outcome.calls) if isinstance(outcome, Filled) else []
        expected = [one[function["name"]] for one in answers[row["id"]]]
        found = 0
        for accepted in expected:
            match = next((one for one in made if _is(one, accepted, intent)), None)
            if match is not None:
                made.remove(match)
                found += 1
        counted, wanted, hits = counted + 1, wanted + len(expected), hits + found
        right += found == len(expected) and not made
    return counted, right, wanted, hits


def _is(call: FilledCall, accepted: dict[str, list[Any]], intent: Intent) -> bool:
    """Whether a call is one that is expected."""
    told = {name: msgspec.json.decode(raw) for name, raw in call.values}
    return all(
        accepts(accepted.get(slot.name, [""]), told[slot.name])
        if slot.name in told
        else "" in accepted.get(slot.name, [""])
        for slot in intent.slots
    )


def table(rows: str = "") -> list[str]:
    """The lines of the table: the held-out half of each set with each way of filling.

    Args:
        rows: part of the names of the ways to measure; all of them if empty.
    """
    return trio.run(_table, rows)


async def _table(rows: str) -> list[str]:
    host = await Host.current()
    embedder = await host.embedder(Cache().ensure(Cache().find("minilm")))
    ask, release = await local(host)
    ctx = run_context("bench", ask=ask)
    ways: list[tuple[str, Maker, int]] = [
        ("extractors", extractors, 1),
        ("extractors, trees", composite(ctx), 1),
        ("extractors, trees, meaning", composite(ctx, embedder.encode), 1),
        ("extractors, trees, meaning, SmolLM2", composite(ctx, embedder.encode, LOCAL), 1),
        ("SmolLM2 alone, evidence", language_model(ctx, evidence=True), 4),
        ("SmolLM2 alone, believed", language_model(ctx, evidence=False), 4),
    ]
    lines = [
        "| set | filled by | items | right | slots | asked | wrong | invented | CPU ms, median | CPU ms, 95 % |",
        "|---|---|--:|---|---|--:|---|---|--:|--:|",
    ]
    calls = [
        "| parallel, filled by | items | exactly the right calls | calls | right |",
        "|---|--:|---|--:|---|",
    ]
    try:
        for name in SETS:
            every = [item for item in items(name) if item.held_out]
            for item in every:
                # As a gateway that has filled for a target once: what the target says is remembered.
                await embedder.encode(nearness.told(filling.target(item.intent)))
            for way, make, step in ways:
                if rows in way:
                    lines.append(await _line(name, way, every[::step], make))
                    print(lines[-1], file=sys.stderr, flush=True)
        for way, make, _ in ways[:4]:
            if rows in way:
                counted, right, wanted, hits = await parallel(make)
                calls.append(
                    f"| {way} | {counted} | {share(right, counted)} | {wanted} | {share(hits, wanted)} |"
                )
                print(calls[-1], file=sys.stderr, flush=True)
    finally:
        release()
        embedder.release()
    return [*lines, "", *calls]


async def _line(name: str, way: str, every: list[Item], make: Maker) -> str:
    tally = await measure(every, make)
    times = sorted(tally.seconds)
    return (
        f"| {name} | {way} | {tally.items} | {share(tally.right, tally.items)} "
        f"| {share(tally.good, tally.required)} | {tally.asked / tally.required:.3f} "
        f"| {share(tally.wrong, tally.filled)} | {share(*await invented(every, make))} "
        f"| {times[len(times) // 2] * 1000:.1f} | {times[int(0.95 * len(times))] * 1000:.1f} |"
    )
