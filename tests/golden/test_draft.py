"""Every way in which `archc init --from` reads an API, as a file: the source, ten dashes, findings, and the draft.

A file `NAME.yaml.draft` holds a source named `NAME.yaml`. Whatever is drafted passes `archc check`. `UPDATE=1` writes
them anew.
"""

import os
from pathlib import Path

import pytest

from archflow_compiler.drafting.drafts import draft_bytes
from archflow_compiler.driver import compile_bytes
from archflow_compiler.render import text as rendered
from archflow_schema.config import Config

FOLDER = Path(__file__).parent / "draft"
MARK = "\n----------\n"
FILES = sorted(FOLDER.glob("*.draft"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_golden(file):
    source, mark, expected = file.read_text().partition(MARK)
    found = draft_bytes(file.stem, source.encode())
    said = rendered(found.report, found.source)
    body = found.text.partition("endpoints:\n")
    told = "\n".join(one for one in (said.rstrip(), f"{body[1]}{body[2]}".rstrip()) if one) + "\n"
    if os.environ.get("UPDATE"):
        file.write_text(source + MARK + told)
        return
    assert mark, f"{file.name} has no line of ten dashes: write the source, and run with UPDATE=1"
    assert told == expected, f"{file.name}: if this is meant, run with UPDATE=1 and look at the difference"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_draft_passes_the_check(file):
    source, _, _ = file.read_text().partition(MARK)
    found = draft_bytes(file.stem, source.encode())
    assert bool(found.text) is not found.report.failed
    if found.text:
        outcome = compile_bytes("arch_config.yaml", found.text.encode())
        assert not outcome.report.failed, rendered(outcome.report, outcome.source)
        assert isinstance(outcome.unit.config, Config)
        assert len(outcome.unit.config.prompt_targets) == found.calls
