"""See it work without a key: a local upstream, `archc compile`, `archrun`, and one streamed chat through it.

Needs archflow installed and nothing else; ends by itself.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE / "01-model-routing"


def main() -> int:
    """Run it all; the exit status is 0 when the answer came."""
    scripts = Path(sys.executable).parent
    archc, archrun = scripts / "archc", scripts / "archrun"
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "arch_config.yaml"
        shutil.copy(EXAMPLE / "arch_config.yaml", config)
        upstream = subprocess.Popen([sys.executable, HERE / "upstream.py"], stdout=subprocess.DEVNULL)
        gateway = None
        try:
            say(f"compiling {EXAMPLE.name}/arch_config.yaml")
            subprocess.run([archc, "compile", config.name], cwd=folder, check=True)
            say("running graph.bin")
            keys = {"OPENAI_API_KEY": "not-needed-here", "ANTHROPIC_API_KEY": "not-needed-here"}
            gateway = subprocess.Popen(
                [archrun, "graph.bin", "--admin", "off", "--log-level", "warning"],
                cwd=folder,
                env={**os.environ, **keys},
                stdout=subprocess.PIPE,
            )
            wait_for(12000, gateway)
            say("asking gpt-4o-mini on http://127.0.0.1:12000/v1/chat/completions")
            answer = stream_a_chat("gpt-4o-mini", "Say hello to archflow.")
            gateway.terminate()
            line = gateway.communicate(timeout=30)[0].decode()
            say("the access log says")
            print(line.strip())
            return 0 if answer else 1
        finally:
            for process in (gateway, upstream):
                if process is not None and process.poll() is None:
                    process.kill()
                    process.wait()


def stream_a_chat(model: str, text: str) -> str:
    """Ask, and print the answer as it comes."""
    connection = http.client.HTTPConnection("127.0.0.1", 12000, timeout=30)
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": text}]}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"content-type": "application/json"})
    reply = connection.getresponse()
    answer = ""
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
