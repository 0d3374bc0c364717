"""Configurations of Arch and its successor, judged as their own tests judge them.

The vectors are data of another project and lie beside the repository; without them these tests are skipped.
"""

from pathlib import Path

import msgspec
import pytest

from archflow_compiler.driver import compile_bytes

VECTORS = Path(__file__).parents[2] / ".." / "shared" / "vectors"
CASES = VECTORS / "config_cases.json"
DEMOS = VECTORS / "config_demo_files.json"

DIFFERENT = {
    (
        "archgw-0.3.17",
        "base_url_no_prefix",
    ): "a path in base_url is allowed since 0.3.18; the old text shows in a note",
}
"""Cases that Arch 0.3.17 and its successor judge differently: ours is the newer judgement."""


def vectors(path):
    if not path.is_file():
        reason = f"{path.name} is not beside this checkout: its vectors are data of another project"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason), id=path.stem)]
    found = msgspec.json.decode(path.read_bytes())["vectors"]
    return [pytest.param(one, id=f"{one['source']}-{one.get('id') or one['path']}") for one in found]


def refusals(outcome):
    """The errors, but for sections that this version reads, checks and does not run yet."""
    return [one for one in outcome.report if one.severity == "error" and one.code != "not-yet-supported"]


@pytest.mark.parametrize("case", vectors(CASES))
def test_case(case):
    outcome = compile_bytes("arch_config.yaml", case["config"].encode())
    expected = case["expected_error"]
    if expected is None or (case["source"], case["id"]) in DIFFERENT:
        assert refusals(outcome) == []
    elif expected == "(any error)":
        assert refusals(outcome)
    else:
        said = [text for one in refusals(outcome) for text in (one.summary, one.arch)]
        assert any(expected in text for text in said), said
    if (case["source"], case["id"]) in DIFFERENT:
        assert any(expected in one.arch for one in outcome.report)


@pytest.mark.parametrize("case", vectors(DEMOS))
def test_demo_file_is_valid(case):
    outcome = compile_bytes("arch_config.yaml", case["config"].encode())
    assert refusals(outcome) == []
    assert (outcome.graph is not None) == (not outcome.report.failed)
