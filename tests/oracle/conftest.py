"""One archrun in front of one scripted upstream, for all tests that look at it with a vendor's own client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from process.harness import Gateway, compiled, free_port
from process.upstream import ScriptedUpstream

CONFIG = """\
version: v0.3.0
listeners:
  - {{type: model, name: egress, address: 127.0.0.1, port: {port}, timeout: 60s, limits: {{body: 64KiB}}}}
  - {{type: model, name: tls, address: 127.0.0.1, port: {tls}, timeout: 60s,
     tls: {{certificate: {folder}/server.pem, private_key: {folder}/server.key}}}}
model_providers:
  - model: openai/*
    base_url: http://127.0.0.1:{upstream}
    access_key: $TEST_KEY
  - model: anthropic/*
    base_url: http://127.0.0.1:{upstream}
    access_key: $TEST_KEY
  - model: vertex_ai/*
    base_url: http://127.0.0.1:{upstream}
    access_key: $TEST_KEY
  - model: gemini/*
    base_url: http://127.0.0.1:{upstream}
    access_key: $TEST_KEY
  - model: mistral/limited
    base_url: http://127.0.0.1:{upstream}
    access_key: $TEST_KEY
    default: true
  - model: groq/unreachable
    base_url: http://127.0.0.1:{nobody}
    access_key: $TEST_KEY
routing_preferences:
  - {{name: code, description: writing programs, models: [openai/gpt-4o]}}
routing: {{router: {{kind: static, option: code}}}}
model_aliases:
  fast.v1: {{target: groq/unreachable}}
ratelimits:
  - model: mistral/limited
    selector: {{key: x-team, value: red}}
    limit: {{tokens: 40, unit: hour}}
"""


class Side:
    """A gateway, its upstream and the files of its certificate."""

    def __init__(self, gateway: Gateway, upstream: ScriptedUpstream, tls: int, ca: Path) -> None:
        self.gateway = gateway
        self.upstream = upstream
        self.url = gateway.url
        self.tls_url = f"https://localhost:{tls}"
        self.ca = ca


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Side]:
    folder = tmp_path_factory.mktemp("oracle")
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.cert_chain_pems[0].write_to_path(folder / "server.pem")
    certificate.private_key_pem.write_to_path(folder / "server.key")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    port, tls = free_port(), free_port()
    with ScriptedUpstream() as upstream:
        config = folder / "arch_config.yaml"
        config.write_text(
            CONFIG.format(folder=folder, port=port, tls=tls, upstream=upstream.port, nobody=free_port())
        )
        with Gateway(compiled(config), port) as gateway:
            yield Side(gateway, upstream, tls, folder / "ca.pem")


@pytest.fixture
def side(running: Side) -> Iterator[Side]:
    """The running gateway, with the upstream's script and memory fresh."""
    running.upstream.reset()
    yield running
    running.upstream.reset()
