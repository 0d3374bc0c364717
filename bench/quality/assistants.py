"""What people ask of assistants, as others collected it: a test of routing preferences, of which nothing is learned.

What a text is about is what its source says: the file of chatterbot-corpus, the kind of WritingBench, an issue of a
software project (SWE-Lancer), a task at a Linux shell (AgentBench). English only.

Rule: the descriptions in `assistants.toml` were written before anything was measured.
"""

from __future__ import annotations

import csv
import io
import json
import random
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec
from packages import read
from routes import Case, Task

from archflow_plugins.contexts import Option

ASSISTANTS = Path(__file__).with_name("assistants.toml")
INSPECT = "inspect_evals/"
MOST = 50
"""Texts of a subject."""
LONGEST = 3000
SHORTEST = 4


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A subject, and where texts about it are."""

    description: str
    files: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    texts: str = ""


def assistants() -> Iterator[Task]:
    """The test."""
    every = msgspec.convert(tomllib.loads(ASSISTANTS.read_text("utf-8")), dict[str, Subject])
    options = tuple(Option(name=name, description=one.description) for name, one in every.items())
    rng, cases = random.Random(4), []
    for name, one in every.items():
        said = [*_chats(one.files), *_writings(one.kinds), *(_others(one.texts) if one.texts else ())]
        texts = sorted({text for text in said if len(text) >= SHORTEST and text.isascii()})
        rng.shuffle(texts)
        cases += [Case((text[:LONGEST],), options, frozenset({name})) for text in texts[:MOST]]
    yield Task("assistants", "test", tuple(cases))


def _chats(files: tuple[str, ...]) -> Iterator[str]:
    import yaml

    for file in files:
        data = yaml.safe_load(read("chatterbot-corpus", f"chatterbot_corpus/data/english/{file}.yml"))
        yield from (str(talk[0]) for talk in data["conversations"] if talk)


@cache
def _written() -> list[tuple[str, str]]:
    rows = read("inspect-evals", f"{INSPECT}writingbench/benchmark_all.jsonl").splitlines()
    return [(row["domain2"], row["query"]) for row in map(json.loads, rows)]


def _writings(kinds: tuple[str, ...]) -> Iterator[str]:
    yield from (text for kind, text in _written() if kind in kinds)


def _others(name: str) -> Iterator[str]:
    if name == "shell":
        data = read("inspect-evals", f"{INSPECT}agent_bench/data/agent_bench_os_test.json")
        yield from (task["description"] for task in json.loads(data))
        return
    table = read("inspect-evals", f"{INSPECT}swe_lancer/data/all_swelancer_tasks.csv").decode()
    yield from (f"{row['title']}\n{row['description']}" for row in csv.DictReader(io.StringIO(table)))
