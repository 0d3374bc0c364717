"""Every rule of the compiler as a file: YAML, ten dashes, and what archc says about it.

What follows the dashes is the rendered report; for a file without findings, or with the comment `# show: graph` in
it, the graph in words follows. `UPDATE=1 pytest tests/golden` writes them anew: look at each difference before you
commit it.
"""

import ast
import os
from pathlib import Path

import pytest

from archflow_compiler.driver import compile_bytes
from archflow_compiler.explain.words import text
from archflow_compiler.render import text as rendered

FOLDER = Path(__file__).parent / "compile"
MARK = "\n----------\n"
FILES = sorted(FOLDER.glob("*.arch"))


def said(yaml: str) -> str:
    outcome = compile_bytes("arch_config.yaml", yaml.encode())
    report = rendered(outcome.report, outcome.source)
    if outcome.graph is None or (report and "# show: graph" not in yaml):
        return report
    graph = "\n".join(
        line for line in text(outcome.graph).splitlines() if not line.startswith("plugin ")
    ).rstrip()
    return f"{report}\n{graph}\n" if report else f"{graph}\n"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_golden(file):
    yaml, mark, expected = file.read_text().partition(MARK)
    found = said(yaml)
    if os.environ.get("UPDATE"):
        file.write_text(yaml + MARK + found)
        return
    assert mark, f"{file.name} has no line of ten dashes: write the YAML, and run with UPDATE=1"
    assert found == expected, f"{file.name}: if this is meant, run with UPDATE=1 and look at the difference"


def test_there_is_a_golden_for_every_code():
    """A new finding needs a file here, so that somebody has seen how it reads."""
    sources = Path(__file__).parents[2] / "compiler" / "archflow_compiler"
    shown = "".join(file.read_text() for file in (*FILES, *(FOLDER.parent / "draft").iterdir()))
    codes = set()
    for module in sources.rglob("*.py"):
        codes |= codes_in(module)
    elsewhere = {
        "file-too-large",  # 16 MiB of YAML, see tests/compiler/test_source.py
        "not-utf-8",  # a golden file is text, see tests/compiler/test_source.py
        "unreadable-file",  # there is no file, see tests/compiler/test_driver.py
        "invalid-value",  # a kind's own check, see tests/compiler/test_decode.py
        "kind-failed",  # a broken plugin, see tests/compiler/test_lower.py
        "plugin-unusable",  # a broken plugin, see tests/compiler/test_plugins.py
        "plugin-version",  # an installed plugin, see tests/compiler/test_plugins.py
        "bad-version",  # an installed plugin, see tests/compiler/test_plugins.py
        "secret-in-graph",  # a broken plugin, see tests/compiler/lower/test_listeners.py
        "unsound-graph",  # a bug of archc, see tests/compiler/test_verify.py
        "too-many-operations",  # a thousand of them, see tests/compiler/drafting/test_drafts.py
        "unset-variable",  # depends on the environment, see tests/compiler/test_cli.py
    }
    missing = sorted(code for code in codes - elsewhere if f"[{code}]" not in shown)
    assert not missing, f"no golden file shows {', '.join(missing)}"


def codes_in(module):
    """The codes that a module reports: the first argument of `error`, `warning` ..., or `code=`."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in {"error", "warning", "note", "say", "_error", "_stop", "_duplicate"}:
            found |= {
                one.value
                for one in node.args
                if isinstance(one, ast.Constant)
                and isinstance(one.value, str)
                and one.value.replace("-", "").isalnum()
                and ("-" in one.value)
                and " " not in one.value
            }
        found |= {
            one.value.value
            for one in node.keywords
            if one.arg == "code" and isinstance(one.value, ast.Constant)
        }
    return found
