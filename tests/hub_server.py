"""A small model hub on loopback: the few answers huggingface_hub needs, and faults on demand.

It shares no code with the package or the client; what it serves is what the real hub's
endpoints serve: the listing of a repository at a commit, and files with their ETag, commit
and linked size, by HEAD, GET and Range.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

#: Faults of one file, or of "api" (the listing): see `HubServer.faults`.
FAULTS = ("cut", "cut_once", "stall", "corrupt", "missing", "503", "401", "gated", "hang", "html")

_LISTING = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)(?:/revision/(?P<revision>.+))?")
_FILE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")


@dataclass
class HubServer:
    """Serves `repos` (name → file → bytes) while it is entered.

    `faults` maps a file's name, or "api", to one of FAULTS and may be changed at any time:
    "cut" ends every connection in the middle of the body, "cut_once" only the first one,
    "stall" sends half, sets `stalled` and waits, "corrupt" alters a byte, "missing" lists a
    file that is not there, "hang" never answers. `requests` logs every "METHOD /path".
    """

    repos: dict[str, dict[str, bytes]]
    faults: dict[str, str] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    stalled: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> HubServer:
        self._closing = threading.Event()
        handler = type("Handler", (_Handler,), {"hub": self, "closing": self._closing})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def commit(self, repo: str) -> str:
        digest = hashlib.sha1(repo.encode())
        for name, content in sorted(self.repos[repo].items()):
            digest.update(name.encode() + hashlib.sha1(content).digest())
        return digest.hexdigest()

    def downloads(self) -> list[str]:
        """The files whose bytes were asked for, in order."""
        found = (_FILE.fullmatch(line.removeprefix("GET ")) for line in self.requests)
        return [match["file"] for match in found if match]


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    closing: threading.Event
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *args: Any) -> None:
        pass

    def _answer(self, *, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        if match := _LISTING.fullmatch(path):
            self._listing(match["repo"], match["revision"] or "main")
        elif match := _FILE.fullmatch(path):
            self._file(match, body=body)
        else:
            self._refuse(404)

    def _listing(self, repo: str, revision: str) -> None:
        if self._fault("api") or not self._known(repo, revision):
            return
        files = self.hub.repos[repo].items()
        listing = {
            "id": repo,
            "modelId": repo,
            "sha": self.hub.commit(repo),
            "siblings": [_sibling(name, content) for name, content in files],
        }
        self._send(200, {"Content-Type": "application/json"}, json.dumps(listing).encode())

    def _file(self, match: re.Match[str], *, body: bool) -> None:
        repo, revision, name = match["repo"], match["revision"], match["file"]
        fault = self.hub.faults.get(name)
        if not self._known(repo, revision) or (body and self._fault(name)):
            return
        content = self.hub.repos[repo].get(name)
        commit = {"X-Repo-Commit": self.hub.commit(repo)}
        if content is None or fault == "missing":
            self._refuse(404, "EntryNotFound", commit)
            return
        headers = {
            **commit,
            "ETag": f'"{_etag(name, content)}"',
            "X-Linked-Size": str(len(content)),
            "Accept-Ranges": "bytes",
        }
        if fault == "corrupt":
            content = content[:-1] + bytes([content[-1] ^ 1])
        if fault == "cut_once" and body:
            del self.hub.faults[name]
        self._content(content, headers, fault, body=body)

    def _content(
        self, content: bytes, headers: dict[str, str], fault: str | None, *, body: bool
    ) -> None:
        start = 0
        if wanted := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            start = int(wanted[1])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self.send_response(206 if start else 200)
        for key, value in {**headers, "Content-Length": str(len(content) - start)}.items():
            self.send_header(key, value)
        self.end_headers()
        if not body:
            return
        end = len(content)
        if fault in ("cut", "cut_once", "stall"):
            end = max(start, len(content) // 2)
            self.close_connection = True
        self.wfile.write(content[start:end])
        self.wfile.flush()
        if fault == "stall":
            self.hub.stalled.set()
            self.closing.wait()

    def _known(self, repo: str, revision: str) -> bool:
        if repo not in self.hub.repos:
            self._refuse(401, "RepoNotFound")
        elif revision not in ("main", self.hub.commit(repo)):
            self._refuse(404, "RevisionNotFound")
        else:
            return True
        return False

    def _fault(self, name: str) -> bool:
        """Answer with the fault of `name` if it replaces the whole answer."""
        fault = self.hub.faults.get(name, "")
        if fault == "hang":
            self.closing.wait()
            self.close_connection = True
        elif fault == "html":
            self._send(200, {"Content-Type": "text/html"}, b"<html>login</html>")
        elif fault == "gated":
            self._refuse(403, "GatedRepo")
        elif fault.isdigit():
            self._refuse(int(fault))
        else:
            return False
        return True

    def _refuse(self, status: int, code: str = "", headers: dict[str, str] | None = None) -> None:
        named = {"X-Error-Code": code} if code else {}
        self._send(status, {**named, **(headers or {})}, b"")

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _large(name: str) -> bool:
    return name.endswith((".safetensors", ".gguf", ".bin"))


def _etag(name: str, content: bytes) -> str:
    """SHA-256 for large files, git's blob SHA-1 for the others, as the hub does it."""
    if _large(name):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _sibling(name: str, content: bytes) -> dict[str, object]:
    sibling: dict[str, object] = {"rfilename": name, "size": len(content), "blobId": "0" * 40}
    if _large(name):
        size = len(content)
        sibling["lfs"] = {"sha256": _etag(name, content), "size": size, "pointerSize": 134}
    return sibling
