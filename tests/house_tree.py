"""The tree as house tests see it: modules, their syntax, the files under version control."""

import ast
import functools
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "schema": "archflow_schema",
    "plugins": "archflow_plugins",
    "compiler": "archflow_compiler",
    "engine": "archflow_engine",
}


@functools.cache
def modules(folder: str | None = None) -> tuple[Path, ...]:
    """The modules of the four packages, or of one of the top-level folders."""
    folders = [folder] if folder else list(PACKAGES)
    return tuple(sorted(path for one in folders for path in (ROOT / one / PACKAGES[one]).rglob("*.py")))


@functools.cache
def syntax(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> set[str]:
    """The top-level packages that a module imports anywhere, `if TYPE_CHECKING` included."""
    found: set[str] = set()
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def name(path: Path) -> str:
    """A path as messages show it."""
    return str(path.relative_to(ROOT))


def tracked() -> list[Path]:
    """The files under version control; empty outside a checkout."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    return [ROOT / path for path in done.stdout.split("\0") if path and (ROOT / path).is_file()]
