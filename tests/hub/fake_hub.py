"""A hub on this machine: as much of the Hugging Face Hub's protocol as its client asks for.

Over real HTTP, with faults to order.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# These are kept by LFS: named by SHA-256, and served by another server after a redirect.
LARGE = (".safetensors", ".model", ".bin", ".pth", ".mp4")
CHUNK = 1 << 14


@dataclass
class FakeHub:
    """A hub; its faults may be changed at any time.

    requests: what was asked for, (method, path, Range). break_after: bytes of a large file after
    which its connection breaks, `breaks` times. pace: seconds a chunk of 16 kB takes. flip: a byte
    of every large file is wrong. ignore_range: a part is never sent alone. status: answer
    everything with this error. people: whose a token is.
    """

    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    break_after: int = 0
    breaks: int = 0
    pace: float = 0.0
    flip: bool = False
    ignore_range: bool = False
    status: int = 0
    gated: set[str] = field(default_factory=set)
    datasets: set[str] = field(default_factory=set)
    people: dict[str, str] = field(default_factory=dict)
    address: str = ""
    _repositories: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)

    def add(self, repo: str, files: dict[str, bytes], commit: str = "") -> str:
        """Commit `files` to a repository's main branch; returns the commit, `commit` if given."""
        commits = self._repositories.setdefault(repo, {})
        commit = (
            commit or hashlib.sha1(repr((repo, len(commits), sorted(files))).encode()).hexdigest()
        )
        commits[commit] = commits["main"] = dict(files)
        return commit

    def commit(self, repo: str, revision: str) -> str | None:
        commits = self._repositories[repo]
        return next(
            (
                name
                for name, files in commits.items()
                if name != "main" and files is commits.get(revision)
            ),
            None,
        )

    def files(self, repo: str, revision: str) -> dict[str, bytes] | None:
        return self._repositories.get(repo, {}).get(revision)

    def blob(self, digest: str) -> bytes | None:
        found = (
            data
            for commits in self._repositories.values()
            for files in commits.values()
            for data in files.values()
        )
        return next((data for data in found if hashlib.sha256(data).hexdigest() == digest), None)

    def fetched(self) -> list[str]:
        """Names of the files whose content was asked for, and asked for again."""
        return [
            path.split("/resolve/")[1].partition("/")[2]
            for method, path, _ in self.requests
            if method == "GET" and "/resolve/" in path
        ]

    def ranges(self) -> list[str]:
        """Of every request for a part of a file that LFS keeps."""
        return [
            part
            for method, path, part in self.requests
            if method == "GET" and path.startswith("/lfs/") and part
        ]

    @contextmanager
    def serving(self) -> Iterator[FakeHub]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        server.daemon_threads = True
        self.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()


def folder_files(folder: Path) -> dict[str, bytes]:
    """A folder's files by their paths, as a repository has them."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = self.path.partition("?")[0]
        self.hub.requests.append((self.command, path, self.headers.get("Range")))
        try:
            if self.hub.status:
                self._error(self.hub.status, "ServerError")
            elif path == "/api/whoami-v2":
                self._whoami()
            elif found := re.fullmatch(r"/lfs/([0-9a-f]{64})", path):
                self._content(self.hub.blob(found[1]), {})
            elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(revision|tree)/([^/]+)", path):
                self._api(*found.groups())
            elif path.removeprefix("/api/datasets/") in self.hub.datasets:
                self._json({"id": path.removeprefix("/api/datasets/"), "sha": "0" * 40})
            elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
                self._resolve(*found.groups())
            else:
                self._error(404, "EntryNotFound")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _known(self, repo: str, revision: str) -> bool:
        """Whether the repository is there for this client; else it is told why not."""
        if not self.hub.files(repo, "main"):
            self._error(401, "RepoNotFound")
        elif repo in self.hub.gated:
            self._error(403, "GatedRepo")
        elif not self.hub.files(repo, revision):
            self._error(404, "RevisionNotFound")
        else:
            return True
        return False

    def _whoami(self) -> None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token in self.hub.people:
            access = {"accessToken": {"displayName": "test", "role": "read"}}
            self._json({"name": self.hub.people[token], "auth": access})
        else:
            self._error(401, "InvalidToken")

    def _api(self, repo: str, what: str, revision: str) -> None:
        if not self._known(repo, revision):
            return
        files = self.hub.files(repo, revision)
        commit = self.hub.commit(repo, revision)
        if what == "revision":
            self._json(
                {
                    "id": repo,
                    "sha": commit,
                    "siblings": [{"rfilename": path} for path in files],
                    "private": False,
                    "tags": [],
                }
            )
            return
        tree = []
        for path, data in files.items():
            entry = {"type": "file", "path": path, "size": len(data), "oid": git_hash(data)}
            if path.endswith(LARGE):
                entry["lfs"] = {
                    "oid": hashlib.sha256(data).hexdigest(),
                    "size": len(data),
                    "pointerSize": 134,
                }
            tree.append(entry)
        self._json(tree)

    def _resolve(self, repo: str, revision: str, path: str) -> None:
        if not self._known(repo, revision):
            return
        data = self.hub.files(repo, revision).get(path)
        commit = self.hub.commit(repo, revision)
        if data is None:
            self._error(404, "EntryNotFound")
        elif path.endswith(LARGE):
            digest = hashlib.sha256(data).hexdigest()
            self.send_response(302)
            # By another name of this machine, as if it were another server: what is for the hub
            # alone must not be sent there.
            self.send_header(
                "Location", f"{self.hub.address.replace('127.0.0.1', 'localhost')}/lfs/{digest}"
            )
            for name, value in {
                "X-Linked-Etag": f'"{digest}"',
                "X-Linked-Size": len(data),
                "X-Repo-Commit": commit,
                "Content-Length": 0,
            }.items():
                self.send_header(name, str(value))
            self.end_headers()
        else:
            self._content(data, {"ETag": f'"{git_hash(data)}"', "X-Repo-Commit": commit})

    def _content(self, data: bytes, headers: dict[str, str]) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        begin = int(asked[1]) if asked and not self.hub.ignore_range else 0
        self.send_response(206 if begin else 200)
        for name, value in {
            **headers,
            "Content-Length": str(len(data) - begin),
            "Accept-Ranges": "bytes",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if not self.path.startswith("/lfs/"):
            self.wfile.write(data)
            return
        if self.hub.flip:
            data = data[:-1] + bytes([data[-1] ^ 1])
        end = len(data)
        if self.hub.breaks and begin + self.hub.break_after < end:
            self.hub.breaks -= 1
            end = begin + self.hub.break_after
            self.close_connection = True
        for at in range(begin, end, CHUNK):
            self.wfile.write(data[at : min(at + CHUNK, end)])
            time.sleep(self.hub.pace)

    def _json(self, value: object) -> None:
        text = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _error(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()
