"""Who may import what. import-linter keeps our own layers; here: one place for each library, and what the engine
must not know."""

import re
import sys

import pytest

from archflow_plugins.builtins import archflow_register_dialects
from archflow_plugins.providers.table import VENDORS
from house_tree import ROOT, imports, modules, name

OURS = {"archflow_schema", "archflow_plugins", "archflow_compiler", "archflow_engine"}
EVERYWHERE = {"msgspec", "trio"}
PLACES = {
    "botocore": ("plugins/archflow_plugins/providers/aws_credentials.py",),
    "click": (
        "compiler/archflow_compiler/cli.py",
        "compiler/archflow_compiler/failing.py",
        "compiler/archflow_compiler/models_cli.py",
        "compiler/archflow_compiler/output.py",
        "compiler/archflow_compiler/progress.py",
        "compiler/archflow_compiler/route_cli.py",
        "engine/archflow_engine/cli.py",
    ),
    "cryptography": ("plugins/archflow_plugins/providers/service_account.py",),
    "ctranslate2": ("plugins/archflow_plugins/local_models/",),
    "faiss": ("plugins/archflow_plugins/local_models/",),
    "h2": ("engine/archflow_engine/",),
    "httptools": ("engine/archflow_engine/front/", "engine/archflow_engine/upstream/"),
    "hypercorn": ("engine/archflow_engine/",),
    "hyperframe": ("engine/archflow_engine/",),
    "hpack": ("engine/archflow_engine/",),
    "jsonschema_rs": ("plugins/archflow_plugins/guards/json_schema.py",),
    "huggingface_hub": ("plugins/archflow_plugins/local_models/sources.py",),
    "numpy": ("plugins/archflow_plugins/local_models/",),
    "opentelemetry": ("plugins/archflow_plugins/tracers/",),
    "packaging": ("compiler/archflow_compiler/",),
    "pluggy": ("plugins/archflow_plugins/hookspecs.py", "plugins/archflow_plugins/registry.py"),
    "ruamel": ("compiler/archflow_compiler/source.py",),
    "structlog": ("engine/archflow_engine/log.py",),
    "tokenizers": ("plugins/archflow_plugins/local_models/",),
    "watchfiles": ("engine/archflow_engine/",),
}


@pytest.mark.parametrize("path", modules(), ids=name)
def test_each_library_has_its_place(path):
    for library in imports(path) - OURS - EVERYWHERE - set(sys.stdlib_module_names):
        places = PLACES.get(library)
        assert places, f"{name(path)} imports {library}: give it one importer, in PLACES of {__file__}"
        assert name(path).startswith(places), (
            f"{name(path)} imports {library}, which belongs to {' and '.join(places)}: ask those for what you need"
        )


@pytest.mark.parametrize("path", modules("schema"), ids=name)
def test_schema_never_waits(path):
    assert "trio" not in imports(path), f"{name(path)} imports trio: schema holds values only"


@pytest.mark.parametrize("path", [*modules("schema"), *modules("compiler")], ids=name)
def test_compiling_opens_no_socket_and_reads_no_clock(path):
    banned = imports(path) & {"socket", "ssl", "http", "urllib3", "trio", "time", "random", "secrets"}
    assert not banned, (
        f"{name(path)} imports {', '.join(banned)}: compiling is pure, so that bytes are the same"
    )


EVERYDAY_WORDS = {"arch", "do", "meta", "together", "amazon", "plano"}
"""Prefixes of vendors that are also words of English or of ours."""
FAMILIES = ("gpt", "claude", "gemini", "llama", "sonnet", "bearer_chat")


def names_of_the_outside_world() -> set[str]:
    vendors = {word for vendor in VENDORS.values() for word in (vendor.name, *vendor.aliases)}
    dialects = {kind.kind.removeprefix("dialect.") for kind in archflow_register_dialects()}
    return {*vendors, *dialects, *FAMILIES} - EVERYDAY_WORDS


@pytest.mark.parametrize("path", modules("engine"), ids=name)
def test_the_engine_names_no_vendor_model_or_wire_format(path):
    text = re.sub(
        r"https?://\S+|\bxai-(?=\))", "", path.read_text()
    )  # links, and the form of a key that is masked
    words = "|".join(sorted(map(re.escape, names_of_the_outside_world()), key=len, reverse=True))
    found = re.search(rf"(?<![A-Za-z0-9])({words})(?![A-Za-z0-9])", text, re.IGNORECASE)
    assert found is None, (
        f"{name(path)} names {found and found[0]!r}: what has a name in the outside world is a kind under plugins/"
    )


def test_the_grep_would_find_something():
    text = (ROOT / "plugins/archflow_plugins/providers/table.py").read_text()
    assert len(names_of_the_outside_world()) > 30
    assert all(word in text for word in ("openai", "anthropic"))
