"""Plugins for tests: distributions written into a folder, and the sources of their modules."""

import base64
import hashlib
from pathlib import Path


def guard(kind: str = "guard.test", hook: str = "archflow_register_guards") -> str:
    """The source of a plugin with one guard."""
    return f"""
from archflow_plugins import Guard, ALLOW, hookimpl

class Test(Guard):
    kind = {kind!r}
    def check_nowait(self, conversation):
        return ALLOW

@hookimpl
def {hook}():
    return [Test]
"""


def write_distribution(
    folder: Path,
    name: str,
    source: str,
    points: dict[str, str],
    version: str = "1.0",
    *,
    editable: bool = False,
) -> Path:
    """Write a distribution as pip leaves it: a module, METADATA, entry points, RECORD. Returns the module."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    module = folder / f"{next(iter(points.values()))}.py"
    module.write_text(source)
    lines = "".join(f"{point} = {value}\n" for point, value in points.items())
    (info / "entry_points.txt").write_text(f"[archflow]\n{lines}")
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: a test\n"
    )
    if editable:
        (info / "direct_url.json").write_text('{"url": "file:///x", "dir_info": {"editable": true}}')
    listed = [info / "METADATA", info / "entry_points.txt", *([] if editable else [module])]
    rows = [f"{path.relative_to(folder)},sha256={_digest(path)},{path.stat().st_size}" for path in listed]
    (info / "RECORD").write_text("\n".join([*rows, f"{info.name}/INSTALLER,,", f"{info.name}/RECORD,,", ""]))
    return module


def _digest(path: Path) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
