"""What translating costs, beside relaying: CPU per request and per chunk of the same gateway, in the same minutes.

    python bench/translation.py                       # every lane, three rounds
    python bench/translation.py --rounds 1 --seconds 1 --format json

One archrun on a core of its own, `gateway/load.c` and `gateway/mock.c` on another, as in `gateway`. A lane is what the
client speaks and what its model's upstream speaks. Lanes take turns within a round, one load after the other, and the
table shows medians: of the costs, and of the ratios to what relaying took in the same round, for a client of the same
dialect and for one of chat.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from dataclasses import dataclass
from operator import truediv
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).parent / "gateway"))

from measure import CHUNKS, SENTENCE, upstream
from system import Command, Failed, System, cores, free_port, on
from tools import WORK, Search, compiled

KEY = "sk-bench-0123456789"
CONFIG = """\
version: v0.3.0
listeners:
  - {{type: model, name: egress, address: 127.0.0.1, port: {port}}}
model_providers:
  - {{model: mistral/chat, base_url: "http://127.0.0.1:{upstream}", access_key: $BENCH_KEY}}
  - {{model: openai/responses, base_url: "http://127.0.0.1:{upstream}", access_key: $BENCH_KEY}}
  - {{model: anthropic/messages, base_url: "http://127.0.0.1:{upstream}", access_key: $BENCH_KEY}}
access_log: {{format: json, path: {folder}/access.log}}
"""


@dataclass(frozen=True)
class Lane:
    """What a client speaks, where it posts, what its streams end with, and which model it asks."""

    client: str
    path: str
    end: str
    model: str

    @property
    def name(self) -> str:
        """As in the table."""
        return f"{self.client} -> {self.model}"


ENDS = {"chat": "[DONE]", "messages": "message_stop", "responses": '"truncation"'}
PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses"}
VENDORS = {"chat": "mistral", "messages": "anthropic", "responses": "openai"}
LANES = tuple(
    Lane(client, PATHS[client], ENDS[client], model)
    for client, model in (
        ("chat", "chat"), ("messages", "messages"), ("responses", "responses"), ("chat", "messages"),
        ("messages", "chat"), ("responses", "chat"), ("responses", "messages"),
    )
)  # fmt: skip
LOADS = {"1 KB": (1024, False, 16), "32 KB": (32_700, False, 16), "chunk": (1024, True, 64)}
"""Column -> bytes of the body, whether it streams, connections."""


def body(lane: Lane, size: int, *, stream: bool) -> bytes:
    """A request of about `size` bytes in the client's dialect."""
    text = (SENTENCE * (size // len(SENTENCE) + 1))[: max(10, size - 220)]
    user = {"role": "user", "content": text}
    shared: dict[str, object] = {"model": f"{VENDORS[lane.model]}/{lane.model}", "temperature": 0.7}
    if lane.client == "responses":
        shared |= {
            "instructions": "You are a helpful assistant.",
            "input": [user],
            "max_output_tokens": 256,
            "store": False,
        }
    elif lane.client == "messages":
        shared |= {"system": "You are a helpful assistant.", "messages": [user], "max_tokens": 256}
    else:
        system = {"role": "system", "content": "You are a helpful assistant."}
        shared |= {"messages": [system, user], "max_tokens": 256}
    return msgspec.json.encode({**shared, "stream": True} if stream else shared)


def drive(lane: Lane, port: int, load: str, seconds: float) -> int:
    """One load; how many good replies came. Blocks.

    Raises:
        Failed: a reply was bad, or there was none.
    """
    size, stream, connections = LOADS[load]
    file = WORK / "translation-body.json"
    file.write_bytes(body(lane, size, stream=stream))
    options = ["-c", str(connections), "-t", str(seconds), *(["-s", "-e", lane.end] if stream else [])]
    with on(cores()[1]):
        done = subprocess.run(
            [str(compiled("load")), *options, str(port), lane.path, str(file)],
            capture_output=True,
            text=True,
            check=False,
        )
    told = msgspec.json.decode(done.stdout) if done.stdout else {"requests": 0, "bad": 1}
    if told["bad"] or not told["requests"]:
        raise Failed(f"{lane.name}, {load}: {told['bad']} bad replies: {done.stderr.strip()[:300]}")
    return int(told["requests"])


Samples = dict[str, dict[str, list[float]]]
"""Lane -> column -> CPU microseconds, one of each round."""


def measure(rounds: int, seconds: float) -> Samples:
    """Take all lanes through all loads. Blocks for about a second times lanes, loads and rounds, and more."""
    folder = WORK / "translation"
    folder.mkdir(parents=True, exist_ok=True)
    samples: Samples = {lane.name: {load: [] for load in LOADS} for lane in LANES}
    port, search = free_port(), Search([])
    with upstream() as behind:
        config = folder / "arch_config.yaml"
        config.write_text(CONFIG.format(port=port, upstream=behind, folder=folder))
        graph = folder / "graph.bin"
        subprocess.run(
            [search.program("archc"), "compile", config, "-o", graph], check=True, capture_output=True
        )
        command = Command((search.program("archrun"), str(graph), "--admin", "off"), {"BENCH_KEY": KEY})
        with System(command, port, cores()[0], folder / "output.log") as system:
            first = msgspec.json.decode(body(LANES[0], 500, stream=False))
            system.wait_until_ready(msgspec.json.encode(first))
            for number in range(rounds):
                for load, (_, stream, _) in LOADS.items():
                    for lane in LANES:
                        drive(lane, port, load, 0.3)
                        before = system.cpu()
                        served = drive(lane, port, load, seconds)
                        spent = (system.cpu() - before) * 1e6
                        samples[lane.name][load].append(spent / served / (CHUNKS if stream else 1))
                sys.stderr.write(f"round {number + 1} of {rounds}\n")
    return samples


def table(samples: Samples) -> str:
    """Medians and ratios, for people."""
    heads = "".join(f"{load + ' us':>10}{'ratio':>7}{'chat':>6}" for load in LOADS)
    lines = [f"{'lane':<22}{heads}"]
    for lane in LANES:
        cells = ""
        for load, values in samples[lane.name].items():
            ratios = [
                statistics.median(map(truediv, values, samples[f"{relayed} -> {relayed}"][load]))
                for relayed in (lane.client, "chat")
            ]
            cells += f"{statistics.median(values):>10.1f}{ratios[0]:>7.2f}{ratios[1]:>6.2f}"
        lines.append(f"{lane.name:<22}{cells}")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load")
    parser.add_argument("--format", choices=["text", "json"], default="text")
    options = parser.parse_args()
    samples = measure(options.rounds, options.seconds)
    print(msgspec.json.encode(samples).decode() if options.format == "json" else table(samples))


if __name__ == "__main__":
    main()
