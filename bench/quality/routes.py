"""Conversations and the described options that they are about: what routing and matching are measured on.

    train   weights and calibration are fitted on it
    test    only measured

| source | options | split |
|---|---|---|
| BFCL multiple, live_multiple | the functions that an item offers | by connected functions, half and half |
| BFCL live_irrelevance | the same, none of them right | by the offered functions, half and half |
| BFCL multi_turn_base | all API classes (coarse), all their functions (fine); several turns | by conversation |
| BFCL multi_turn_miss_param | the same; turns that only give what the turn before lacked | by conversation |
| BFCL parallel_multiple | the functions that an item offers, several of them right | half and half |
| OVOS skills | skills (coarse), their intents (fine) | train |
| home-assistant-intents, English | areas (coarse), intents (fine), described in `routes.toml` | test |
| chitchat, FreshQA | none of a route's business | by conversation; test |

Rule: no option and no sentence is in both splits; deterministic, no clock.
"""

from __future__ import annotations

import csv
import json
import random
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec
from packages import names, read
from sets import _sentence as sentence
from sets import asked, bfcl_rows, share

from archflow_plugins.contexts import Option

ROUTES = Path(__file__).with_name("routes.toml")
EXAMPLES = 5
PER_INTENT = 12
SKILLS = (
    "alerts",
    "audio-recording",
    "date-time",
    "days-in-history",
    "iss-location",
    "moviemaster",
    "news",
    "volume",
    "wallpapers",
    "weather",
)
FIELDS = {
    "location": ("London", "Paris", "Berlin", "New York", "Lisbon"),
    "date": ("May the 3rd", "Christmas", "July 4th", "tomorrow"),
    "movie": ("Alien", "The Matrix", "Casablanca", "Titanic"),
    "genre": ("comedy", "horror", "science fiction"),
    "query": ("mountains", "cats", "the sea"),
    "name": ("garden", "meeting", "diary"),
    "offset": ("2", "three", "5"),
}


class Case(msgspec.Struct, frozen=True):
    """A conversation and the options that it is about: none, one, or several.

    Attributes:
        turns: what the user said, the newest last.
        right: names of the options; any of them is a hit where `every` is False.
        every: all of `right` are asked for.
    """

    turns: tuple[str, ...]
    options: tuple[Option, ...]
    right: frozenset[str]
    every: bool = False


class Task(msgspec.Struct, frozen=True):
    """Cases of one kind."""

    name: str
    split: str
    cases: tuple[Case, ...]


def _half(key: str) -> str:
    return "train" if share(f"half {key}") < 0.5 else "test"


def _function(function: dict[str, object]) -> Option:
    return Option(name=str(function["name"]), description=str(function.get("description", "")))


def _offers(name: str) -> list[tuple[str, str, tuple[Option, ...], frozenset[str]]]:
    answers = {row["id"]: row for row in bfcl_rows(f"possible_answer/BFCL_v4_{name}.json")}
    out = []
    for row in bfcl_rows(f"BFCL_v4_{name}.json"):
        right = frozenset(key for call in answers[row["id"]]["ground_truth"] for key in call)  # type: ignore[attr-defined]
        options = tuple({one["name"]: _function(one) for one in row["function"]}.values())  # type: ignore[index, attr-defined]
        if len(options) > 1 and right <= {one.name for one in options}:
            out.append((str(row["id"]), asked(row), options, right))
    return out


def _components(offers: list[tuple[str, ...]]) -> list[str]:
    """A name for each offer that it shares with all offers that hold one of its functions, and so on."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    for offer in offers:
        for one in offer[1:]:
            parent[root(one)] = root(offer[0])
    return [root(offer[0]) for offer in offers]


def _single() -> Iterator[Task]:
    irrelevant = [
        (asked(row), tuple({one["name"]: _function(one) for one in row["function"]}.values()))  # type: ignore[attr-defined]
        for row in bfcl_rows("BFCL_v4_live_irrelevance.json")
        if row["function"]
    ]
    irrelevant = [(text, options) for text, options in irrelevant if text.strip()]
    groups = {name: _offers(name) for name in ("multiple", "live_multiple")}
    every = [
        *(tuple(o.name for o in options) for group in groups.values() for _, _, options, _ in group),
        *(tuple(o.name for o in options) for _, options in irrelevant),
    ]
    keys = iter(_components(every))
    for name, group in groups.items():
        parts: dict[str, list[Case]] = {"train": [], "test": []}
        for (_, text, options, right), key in zip(group, keys, strict=False):
            parts[_half(key)].append(Case((text,), options, right))
        for split, cases in parts.items():
            yield Task(f"BFCL {name}", split, tuple(cases))
    parts = {"train": [], "test": []}
    for (text, options), key in zip(irrelevant, keys, strict=True):
        parts[_half(key)].append(Case((text,), options, frozenset()))
    for split, cases in parts.items():
        yield Task("BFCL live_irrelevance", split, tuple(cases))
    parts = {"train": [], "test": []}
    for key, text, options, right in _offers("parallel_multiple"):
        if len(right) > 1:
            parts[_half(key)].append(Case((text,), options, right, every=True))
    for split, cases in parts.items():
        yield Task("BFCL parallel_multiple", split, tuple(cases))


CLASSES = {
    "GorillaFileSystem": "gorilla_file_system",
    "MathAPI": "math_api",
    "MessageAPI": "message_api",
    "TwitterAPI": "posting_api",
    "TicketAPI": "ticket_api",
    "TradingBot": "trading_bot",
    "TravelAPI": "travel_booking",
    "VehicleControlAPI": "vehicle_control",
}


def _multi_turn() -> Iterator[Task]:
    coarse, fine, owner = [], [], {}
    for name, file in CLASSES.items():
        lines = read("bfcl-eval", f"bfcl_eval/data/multi_turn_func_doc/{file}.json").splitlines()
        functions = [json.loads(line) for line in lines]
        said, _, _ = functions[0]["description"].partition(" Tool description: ")
        coarse.append(Option(name=name, description=said))
        for one in functions:
            text = one["description"].partition("Tool description: ")[2]
            fine.append(Option(name=one["name"], description=text))
            owner[one["name"]] = name
    for level, options in (("coarse", tuple(coarse)), ("fine", tuple(fine))):
        turns = _turns("multi_turn_base", owner, options, level)
        # Examples are of conversations that are not measured: a third of those that are learned from.
        lent = [case for key, case, _ in turns if _half(key) == "train" and _lent(key)]
        shown = tuple(msgspec.structs.replace(one, examples=_examples(one.name, lent)) for one in options)
        late = _turns("multi_turn_miss_param", owner, options, level)
        for split in ("train", "test"):
            mine = [(key, case) for key, case, _ in turns if _half(key) == split]
            yield Task(f"BFCL multi_turn, {level}", split, tuple(case for _, case in mine))
            rest = [case for key, case in mine if split == "test" or not _lent(key)]
            cases = tuple(msgspec.structs.replace(one, options=shown) for one in rest)
            yield Task(f"BFCL multi_turn, {level}, 5 examples", split, cases)
            cases = tuple(case for key, case, answers in late if answers and _half(key) == split)
            yield Task(f"BFCL answers to a question, {level}", split, cases)


def _lent(key: str) -> bool:
    return share(f"lent {key}") < 0.34


def _turns(
    name: str, owner: dict[str, str], options: tuple[Option, ...], level: str
) -> list[tuple[str, Case, bool]]:
    """Key of the conversation, its turn, and whether the turn only gives what the turn before it lacked."""
    answers = {row["id"]: row for row in bfcl_rows(f"possible_answer/BFCL_v4_{name}.json")}
    out = []
    for row in bfcl_rows(f"BFCL_v4_{name}.json"):
        said = [asked(row, turn) for turn in range(len(row["question"]))]  # type: ignore[arg-type]
        calls: list[list[str]] = answers[row["id"]]["ground_truth"]  # type: ignore[assignment]
        for number, made in enumerate(calls):
            called = {call.partition("(")[0] for call in made} & owner.keys()
            right = frozenset(called if level == "fine" else {owner[one] for one in called})
            if right and said[number].strip():
                case = Case(tuple(said[: number + 1]), options, right)
                out.append((str(row["id"]).rpartition("_")[2], case, number > 0 and not calls[number - 1]))
    return out


def _examples(name: str, lent: list[Case]) -> tuple[str, ...]:
    """Turns that are about one option alone, where there are some."""
    return tuple(dict.fromkeys(case.turns[-1] for case in lent if case.right == {name}))[:EXAMPLES]


def _filled(text: str, rng: random.Random) -> str:
    text = re.sub(r"\(([^()]*)\)", lambda m: rng.choice(m[1].split("|")), text)
    text = re.sub(r"\{(\w+)\}", lambda m: rng.choice(FIELDS.get(m[1], ("two",))), text)
    return " ".join(text.split())


@cache
def _ovos() -> tuple[dict[str, tuple[str, tuple[str, ...]]], dict[str, list[str]]]:
    """Skill -> description and examples; `skill intent` -> sentences."""
    skills: dict[str, tuple[str, tuple[str, ...]]] = {}
    intents: dict[str, list[str]] = {}
    rng = random.Random(5)
    for skill in SKILLS:
        package = f"ovos-skill-{skill}"
        said = [
            json.loads(read(package, one))
            for one in names(package, "", "skill.json")
            if "en-us" in one.lower()
        ]
        about = next((one for one in said if one.get("description")), said[0] if said else {})
        skills[skill] = (about.get("description", ""), tuple(about.get("examples", ())))
        for name in names(package, "", ".intent"):
            if "en-us" not in name.lower() or name.endswith("do-i-need-an-umbrella.intent"):
                continue
            lines = [
                one for one in read(package, name).decode().splitlines() if one.strip() and one[0] != "#"
            ]
            texts = list(
                dict.fromkeys(_filled(one, rng) for one in lines for _ in range(3 if len(lines) < 6 else 1))
            )
            rng.shuffle(texts)
            intents[f"{skill} {name.rpartition('/')[2].removesuffix('.intent')}"] = texts
    return skills, intents


def _levels(
    name: str,
    split: str,
    coarse: dict[str, str],
    fine: dict[str, str],
    owner: dict[str, str],
    texts: dict[str, list[str]],
    strangers: list[str],
) -> Iterator[Task]:
    """Coarse and fine, without and with examples, and what is none of their business."""
    kept = {key: some[:EXAMPLES] if len(some) > EXAMPLES + 2 else [] for key, some in texts.items()}
    used = {key: some[len(kept[key]) :][:PER_INTENT] for key, some in texts.items()}
    shown: dict[str, list[str]] = {key: [] for key in coarse}
    for turn in range(EXAMPLES):  # five for a coarse route, from as many of its intents as there are
        for key, some in kept.items():
            if turn < len(some) and len(shown[owner[key]]) < EXAMPLES:
                shown[owner[key]].append(some[turn])
    for level, described, examples in (("coarse", coarse, shown), ("fine", fine, kept)):
        for more in (False, True):
            options = tuple(
                Option(name=key, description=text, examples=tuple(examples[key]) if more else ())
                for key, text in described.items()
            )
            label = f"{name}, {level}{', 5 examples' if more else ''}"
            cases = [
                Case((text,), options, frozenset({key if level == "fine" else owner[key]}))
                for key, some in used.items()
                for text in some
            ]
            yield Task(label, split, tuple(cases))
            yield Task(
                f"{label}, out of scope",
                split,
                tuple(Case((text,), options, frozenset()) for text in strangers),
            )


def _skills() -> Iterator[Task]:
    skills, intents = _ovos()
    owner = {key: key.split(" ")[0] for key in intents}
    coarse = {key: text for key, (text, _) in skills.items()}
    yield from _levels(
        "OVOS", "train", coarse, dict.fromkeys(intents, ""), owner, intents, strangers("train")
    )


def _home() -> Iterator[Task]:
    data = json.loads(read("home-assistant-intents", "home_assistant_intents/data/en.json"))
    table = tomllib.loads(ROUTES.read_text("utf-8"))
    rng = random.Random(11)
    owner, fine, texts = {}, {}, {}
    for area, said in table.items():
        for intent, text in said["intents"].items():
            forms = [s for block in data["intents"][intent]["data"] for s in block["sentences"]]
            made = [sentence(rng.choice(forms), data, rng).strip(" ;") for _ in range(80)]
            owner[intent], fine[intent] = area, text
            texts[intent] = [one.replace(";", " ") for one in dict.fromkeys(made) if len(one) > 3]
    coarse = {area: said["description"] for area, said in table.items()}
    yield from _levels("Home Assistant", "test", coarse, fine, owner, texts, strangers("test"))


def strangers(split: str) -> list[str]:
    """Texts that are no business of household or voice assistant routes: people chatting, questions about the world."""
    talks = json.loads(read("chitchat-dataset", "chitchat_dataset/dataset.json"))
    texts = []
    for key, talk in talks.items():
        if _half(key) == split:
            for number, turn in enumerate(talk["messages"]):
                text = "\n".join(message["text"] for message in turn).strip()
                if share(f"{key} {number}") < 0.02 and 12 < len(text) < 400:
                    texts.append(text)
    lines = read(
        "inspect-evals", "inspect_evals/abstention_bench/data/freshqa/FreshQA_v10282024.csv"
    ).decode()
    questions = [row["question"] for row in csv.DictReader(lines.splitlines()[2:])]
    texts = texts[:250] + [one for one in questions if _half(one) == split][:250]
    return [
        text
        for text in texts
        if not re.search(r"weather|time is it|date|movie|film|news|space station", text, re.IGNORECASE)
    ]


@cache
def tasks() -> tuple[Task, ...]:
    """All of them."""
    return (*_single(), *_multi_turn(), *_skills(), *_home())
