"""schema/arch_config.schema.json and schema/README.md are written from the Structs, and lie in the repository."""

import os
from pathlib import Path

import jsonschema
import msgspec
import pytest

from archflow_compiler.reference import dialects, json_schema, markdown
from archflow_compiler.source import Source, parse
from archflow_compiler.templates import TEMPLATES
from archflow_compiler.tree import plain
from archflow_plugins.registry import Registry
from archflow_schema.diagnostic import Report

FOLDER = Path(__file__).parents[2] / "schema"
SCHEMA = FOLDER / "arch_config.schema.json"
README = FOLDER / "README.md"


def in_step(path, text):
    if os.environ.get("UPDATE"):
        path.write_text(text)
    assert path.read_text() == text, f"{path.name} is behind the Structs: run with UPDATE=1"


def test_the_json_schema_is_in_step():
    in_step(SCHEMA, json_schema.text())


def test_the_reference_is_in_step():
    in_step(README, markdown.replaced(README.read_text(), markdown.markdown()))


def test_the_tables_of_dialects_are_in_step():
    tables = dialects.markdown(Registry.load().dialects())
    in_step(README, markdown.replaced(README.read_text(), tables, dialects.BEGIN, dialects.END))


def validator():
    schema = msgspec.json.decode(json_schema.text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def value(text):
    return plain(parse(Source("x.yaml", text), Report()))


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_are_valid_for_editors(name):
    validator().validate(value(TEMPLATES[name][1]))


@pytest.mark.parametrize(
    "text",
    [
        "version: v0.1.0\nlisteners: {egress_traffic: {port: 1}}\nllm_providers: [{model: a/b}]\n",
        "version: v0.4.0\nlisteners: [{name: a, type: model, timeout: 1.5m, limits: {body: 3MiB}}]\n",
        "version: v0.4.0\nlisteners: [{name: a, type: model, guards: [{kind: x, y: z}]}]\n",
        "version: v0.4.0\nmodel_aliases: {a.b: {target: c}}\nplugins: {x: '>=1'}\nendpoints: {a: {endpoint: [b, c]}}\n",
        "version: v0.4.0\nmodel_metrics_sources: [{type: cost, provider: models.dev}]\n",
        "version: v0.4.0\nmodel_metrics_sources: [{type: latency, provider: prometheus, url: 'http://x', query: up}]\n",
        "version: v0.4.0\nmodel_providers: [{model: a/b, http_version: 1.1, headers: {a: b}}]\n",
    ],
)
def test_what_is_right_is_valid(text):
    validator().validate(value(text))


@pytest.mark.parametrize(
    "text",
    [
        "listeners: []\n",
        "version: v0.4.0\nlisteners: [{name: a, type: modle}]\n",
        "version: v0.4.0\nlisteners: [{name: a, type: model, timeout: soon}]\n",
        "version: v0.4.0\nmodel_aliases: {a: {alias: b, target: c}}\n",
        "version: v0.4.0\nendpoints: {a-b: {endpoint: c}}\n",
        "version: v0.4.0\nmade_up: 1\n",
        "version: v0.4.0\ntracing: {exporters: [{type: otlp, url: 'http://x'}]}\n",
        "version: v0.4.0\ntracing: {random_sampling: 101}\n",
    ],
)
def test_what_is_wrong_is_not(text):
    assert not validator().is_valid(value(text))
