"""Invariant: the same configuration compiles to the same bytes: here, again, in another process, with other hash seeds,
and with its providers or aliases in another order the graph treats every request the same.
"""

import os
import subprocess
import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from archflow_compiler.driver import compile_bytes
from archflow_compiler.explain.diff import changes

STEADY = settings(derandomize=True, deadline=None, max_examples=60)
FEW = settings(STEADY, max_examples=3)

models = st.lists(st.from_regex(r"[a-z][a-z0-9.-]{0,8}", fullmatch=True), min_size=1, max_size=5, unique=True)
vendors = st.sampled_from(["openai", "anthropic", "groq", "mistral"])


def configuration(providers, aliases, limits, default):
    lines = [
        "version: v0.4.0",
        "listeners: [{name: a, type: model}, {name: b, type: prompt, port: 1}]",
        "model_providers:",
    ]
    lines += [
        f"  - {{model: {vendor}/{model}, access_key: $K, default: {str(model == default).lower()}}}"
        for vendor, model in providers
    ]
    lines += (
        ["model_aliases:", *(f"  {alias}: {{target: {target}}}" for alias, target in aliases)]
        if aliases
        else []
    )
    lines += (
        [
            "ratelimits:",
            *(
                f"  - {{model: {model}, selector: {{key: x-u}}, limit: {{tokens: 1, unit: day}}}}"
                for model in limits
            ),
        ]
        if limits
        else []
    )
    return ("\n".join(lines) + "\n").encode()


@st.composite
def parts(draw):
    names = [f"m-{name}" for name in draw(models)]
    providers = [(draw(vendors), name) for name in names]
    aliases = [(f"alias{number}", draw(st.sampled_from(names))) for number in range(draw(st.integers(0, 4)))]
    limits = draw(st.lists(st.sampled_from(names), unique=True, max_size=2))
    return providers, aliases, limits, draw(st.sampled_from(names))


@STEADY
@given(parts())
def test_twice(made):
    data = configuration(*made)
    one, two = compile_bytes("x.yaml", data), compile_bytes("x.yaml", data)
    assert one.graph is not None, [found.summary for found in one.report]
    assert one.data == two.data


@STEADY
@given(parts(), st.randoms(use_true_random=False))
def test_order_does_not_change_traffic(made, random):
    providers, aliases, limits, default = made
    before = compile_bytes("x.yaml", configuration(*made)).graph
    for shuffled in (providers, aliases, limits):
        random.shuffle(shuffled)
    after = compile_bytes("x.yaml", configuration(providers, aliases, limits, default)).graph
    assert changes(before, after) == ()


SCRIPT = """
import sys
from archflow_compiler.driver import compile_bytes
sys.stdout.buffer.write(compile_bytes("x.yaml", sys.stdin.buffer.read()).data)
"""


@FEW
@given(parts())
def test_in_other_processes(made):
    data = configuration(*made)
    here = compile_bytes("x.yaml", data).data
    for seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], input=data, env=environment, capture_output=True, check=True
        )
        assert done.stdout == here
