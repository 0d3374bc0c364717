"""CTranslate2's specifications of models, imported without torch.

They import torch if it is installed, only to tell its tensors apart, and that takes seconds and hundreds of megabytes.
Here are no tensors of torch, so torch is hidden for the length of the import.

Rule: everybody under `convert` imports specifications from here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Let a module be not installed, unless it is imported already."""
    if name in sys.modules:
        yield
        return
    modules = cast("dict[str, Any]", sys.modules)
    modules[name] = None
    try:
        yield
    finally:
        modules.pop(name, None)


with _hidden("torch"):
    from ctranslate2.specs import attention_spec, common_spec, transformer_spec

__all__ = ["attention_spec", "common_spec", "transformer_spec"]
