"""What can be called -> the text of a configuration that calls it.

Rule: every value is written so that it is read as it was: plain where YAML and people agree, else in quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from archflow_compiler.drafting.naming import plain
from archflow_compiler.drafting.offer import Call, Host, Offer, Single, Value

_HEAD = """\
# yaml-language-server: $schema=arch_config.schema.json
# Drafted from {source}. Read it through: what users want is found by the descriptions, so say in them what each
# call is for, leave out what no user should ask for, and give `examples` where two are alike.
# Then: archc check; archc explain --prompt "..."
version: v0.4.0

listeners:
  - name: prompts
    type: prompt
    address: 127.0.0.1
    port: 10000

# Puts the answers of the API into words.
model_providers:
  - model: openai/gpt-4o-mini
    access_key: $OPENAI_API_KEY
    default: true

system_prompt: |
  You are a helpful assistant. Answer with what the API says, and say so where it says nothing.

endpoints:
"""
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_/.\-]*(?:[ ,;()'+/][A-Za-z0-9_/.,;()'+\-]+)*")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_LONGEST_REMARK = 160
_OBJECT = "only a model takes objects from what users say: name one at prompting.slot_filler.model"


def text(offer: Offer, source: str) -> str:
    """The configuration.

    Args:
        offer: what it calls.
        source: the name of the file that it comes from.
    """
    lines = [_HEAD.format(source=plain(source, 120)).rstrip("\n")]
    for host in offer.hosts:
        lines += _host(host)
    lines += ["", "prompt_targets:"]
    for number, call in enumerate(offer.calls):
        lines += [""] if number else []
        lines += _call(call)
    return "\n".join(lines) + "\n"


def _host(host: Host) -> Iterator[str]:
    yield f"  {host.name}:"
    yield f"    endpoint: {scalar(host.address)}" + (f" # {_remark(host.remark)}" if host.remark else "")
    yield f"    protocol: {host.protocol}"


def _call(call: Call) -> Iterator[str]:
    for remark in call.remarks:
        yield f"  # {_remark(remark)}"
    yield f"  - name: {scalar(call.name)}"
    yield f"    description: {scalar(call.description)}"
    if call.values:
        yield "    parameters:"
    for value in call.values:
        yield from _value(value)
    yield "    endpoint:"
    yield f"      name: {call.host}"
    yield f"      path: {scalar(call.path.replace('$', '$$'))}"
    if call.method != "GET":
        yield f"      http_method: {call.method}"
    if call.headers:
        yield "      http_headers:"
        for name, given in call.headers:
            yield f"        {scalar(name)}: {scalar(given)}"


def _value(value: Value) -> Iterator[str]:
    for remark in (*value.remarks, *([_OBJECT] if "dict" in {value.type, value.items} else [])):
        yield f"      # {_remark(remark)}"
    yield f"      - name: {scalar(value.name)}"
    yield f"        description: {scalar(value.description)}"
    yield f"        type: {value.type}"
    if value.items and value.items != "str":
        yield f"        items: {{type: {value.items}}}"
    if value.required:
        yield "        required: true"
    if value.default is not None:
        yield f"        default: {scalar(value.default)}"
    if value.enum:
        yield f"        enum: [{', '.join(map(scalar, value.enum))}]"
    if value.format:
        yield f"        format: {scalar(value.format)}"
    if value.in_path:
        yield "        in_path: true"


def _remark(remark: str) -> str:
    return plain(remark, _LONGEST_REMARK)


def scalar(value: Single) -> str:
    """A value as YAML reads it back."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.casefold() not in _WORDS:
        return value
    if isinstance(value, str):
        value = "".join(one if one.isprintable() else " " for one in value)
    return msgspec.json.encode(value).decode()
