"""A stand-in for the Hugging Face hub: one repository, served from a folder by a thread of this process."""

import hashlib
import threading  # noqa: TID251 - the client runs in another process, the server beside the test
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec import json

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Serves `folder` as `repository` at revision `main`; `sent` are the files that were asked for."""

    def __init__(self, repository: str, folder: Path) -> None:
        self.repository, self.folder = repository, folder
        self.sent: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.answer(self, whole=True)

            def do_HEAD(self) -> None:
                hub.answer(self, whole=False)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, handler: BaseHTTPRequestHandler, *, whole: bool) -> None:
        path = handler.path.partition("?")[0]
        files = sorted(
            one.relative_to(self.folder).as_posix() for one in self.folder.rglob("*") if one.is_file()
        )
        known = {f"/api/models/{self.repository}/revision/{one}" for one in ("main", COMMIT)}
        known |= {f"/api/models/{self.repository}"}
        if path in known:
            listed = {"id": self.repository, "sha": COMMIT, "siblings": [{"rfilename": one} for one in files]}
            self._send(handler, 200, json.encode(listed), {"Content-Type": "application/json"}, whole=whole)
            return
        if path in {f"/api/models/{self.repository}/tree/{one}" for one in ("main", COMMIT)}:
            tree = []
            for one in files:
                data = (self.folder / one).read_bytes()
                oid = hashlib.sha1(data, usedforsecurity=False).hexdigest()
                tree.append({"type": "file", "path": one, "size": len(data), "oid": oid})
            self._send(handler, 200, json.encode(tree), {"Content-Type": "application/json"}, whole=whole)
            return
        for revision in ("main", COMMIT):
            prefix = f"/{self.repository}/resolve/{revision}/"
            if path.startswith(prefix) and path.removeprefix(prefix) in files:
                name = path.removeprefix(prefix)
                data = (self.folder / name).read_bytes()
                if whole:
                    self.sent.append(name)
                tag = hashlib.sha1(data, usedforsecurity=False).hexdigest()
                headers = {
                    "ETag": f'"{tag}"',
                    "X-Repo-Commit": COMMIT,
                    "Content-Type": "application/octet-stream",
                }
                self._send(handler, 200, data, headers, whole=whole)
                return
        missing = {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"}
        self._send(handler, 404, b'{"error":"not found"}', missing, whole=whole)

    def _send(
        self,
        handler: BaseHTTPRequestHandler,
        status: int,
        data: bytes,
        headers: dict[str, str],
        *,
        whole: bool,
    ) -> None:
        handler.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if whole:
            handler.wfile.write(data)
