"""State storage -> the node that stands before everything else of a dialect whose clients go on from earlier replies.

::

    endpoint -> recall --ready--> guards, route ...
                  +----failed--> reply 503
"""

from __future__ import annotations

from archflow_compiler.lower.draft import Draft, edges
from archflow_compiler.tree import Path
from archflow_schema.config import StateStorage
from archflow_schema.graph import Recall, Use

_AT: Path = ("state_storage",)


def recall(draft: Draft, following: int, listener: str) -> int:
    """The node before `following`; `following` itself if its store cannot be used, which is reported."""
    storage = draft.config.state_storage or StateStorage()
    store = _store(draft, storage)
    if store is None:
        return following
    return draft.add(
        Recall(
            name=f"recall {listener}",
            store=store,
            seconds=storage.keep,
            edges=edges(ready=following, failed=draft.reply("state unavailable", 503, "state_unavailable")),
            origin=draft.origin(*_AT),
        )
    )


def _store(draft: Draft, storage: StateStorage) -> Use | None:
    in_file = storage.type == "sqlite"
    kind = draft.registry.kind("store.sqlite" if in_file else "store.memory")
    said: dict[str, object] = {"path": storage.path} if in_file else {}
    if storage.max_bytes is not None:
        said["max_bytes"] = storage.max_bytes
    used = draft.use(kind, kind.config(**said), "state_storage", _AT, "state_storage")
    return None if used is None else used[0]
