"""The catalogue: whole, licensed, and helpful about names."""

import subprocess
import sys
import tomllib

import pytest

from archflow_plugins.local_models.catalogue import HERE, Package, entries, find
from archflow_plugins.local_models.errors import UnknownModel
from archflow_plugins.local_models.sources import digest
from archflow_schema.errors import ArchflowError
from house_tree import ROOT


@pytest.mark.parametrize("entry", entries().values(), ids=lambda one: one.name)
def test_entries_are_whole(entry):
    assert entry.licence
    assert entry.origin.startswith("https://")
    assert len(entry.sha256) == 64
    assert entry.size > 0
    assert entry.limits.max_tokens > 0
    assert isinstance(entry.source, Package)
    assert len(entry.source.wheel) == 64
    assert not entry.vocabulary or (HERE / entry.vocabulary).is_file()
    assert not entry.adapter or digest(HERE / entry.adapter) == entry.adapter_sha256
    assert entry.source.distribution in (HERE / "README.md").read_text()


def test_the_embedder_comes_with_archflow():
    source = find("minilm").source
    assert isinstance(source, Package)
    wanted = f"{source.distribution}=={source.version}"
    assert wanted in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]


def test_names():
    assert find("minilm") is find("local/minilm")
    with pytest.raises(
        UnknownModel, match='there is no local model "minilmm": did you mean "minilm"'
    ) as error:
        find("minilmm")
    assert "`archc models convert PATH --name NAME` adds one of yours" in str(error.value)
    assert isinstance(error.value, KeyError)
    assert isinstance(error.value, ArchflowError)
    with pytest.raises(
        UnknownModel, match="there are minilm, minilm-guard, smollm2-135m-instruct; `archc models"
    ):
        find("xyz")


def test_nothing_heavy_is_imported_for_it():
    """Looking models up, and the command line's help, cost no numpy and no CTranslate2."""
    program = (
        "import sys; import archflow_plugins.local_models.cache as cache, archflow_compiler.cli as cli\n"
        "from archflow_plugins.registry import Registry\n"
        "Registry.load(); cache.Cache().find('minilm')\n"
        "print([m for m in ('numpy', 'ctranslate2', 'tokenizers', 'torch', 'faiss', 'huggingface_hub') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
