"""A hub on loopback: the endpoints huggingface_hub asks for a model, over real HTTP, with faults on demand.

Uploads are taken too, with the token `secret`: they become files of the repository.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

COMMIT = "5" * 40
TOKEN = "secret"


@dataclass
class Hub:
    """One model. `large` files have a sha256; `cut` breaks the connection once, half-way through a file;
    `stall` sends half of a file and then nothing, sets `stalled` and waits for `released`; `promised` lists
    other bytes than are sent; without `answers_ranges` a wanted part is answered with the whole. `tokens` are those that downloads came with."""

    repository: str
    files: dict[str, bytes]
    large: tuple[str, ...] = ("model.safetensors",)
    cut: set[str] = field(default_factory=set)
    stall: set[str] = field(default_factory=set)
    stalled: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    promised: dict[str, bytes] = field(default_factory=dict)
    answers_ranges: bool = True
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    endpoint: str = ""
    tokens: set[str | None] = field(default_factory=set)
    created: list[dict[str, object]] = field(default_factory=list)
    commits: list[dict[str, object]] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)

    def facts(self, name: str) -> tuple[int, str, str]:
        data = self.promised.get(name, self.files[name])
        sha = hashlib.sha256(data).hexdigest()
        return len(data), sha, sha if name in self.large else hashlib.sha1(data).hexdigest()

    def sibling(self, name: str) -> dict[str, object]:
        size, sha, etag = self.facts(name)
        entry: dict[str, object] = {"rfilename": name, "size": size, "blobId": etag}
        if name in self.large:
            entry["lfs"] = {"sha256": sha, "size": size, "pointerSize": 134}
        return entry

    def branch(self, name: str) -> dict[str, object]:
        size, sha, etag = self.facts(name)
        entry: dict[str, object] = {"type": "file", "path": name, "size": size, "oid": etag}
        if name in self.large:
            entry["lfs"] = {"oid": sha, "size": size, "pointerSize": 134}
        return entry

    def ranges(self, name: str) -> list[str | None]:
        """Range headers of the GET requests for a file."""
        return [r for method, path, r in self.requests if method == "GET" and path.endswith(name)]

    def plan(self, name: str) -> dict[str, object]:
        """Weights go as large files, the rest inside the commit."""
        mode = "lfs" if name.endswith((".safetensors", ".npy")) else "regular"
        return {"path": name, "uploadMode": mode, "shouldIgnore": False}

    def parcel(self, wanted: dict[str, object]) -> dict[str, object]:
        """Where one large file is to be put."""
        link = {"href": f"{self.endpoint}/lfs/{wanted['oid']}"}
        return {"oid": wanted["oid"], "size": wanted["size"], "actions": {"upload": link}}

    def take(self, body: bytes, revision: str) -> None:
        """A commit: its lines name files, with their bytes or the sha256 of what was put before."""
        header: dict[str, object] = {"revision": revision}
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "header":
                header |= value
            elif line["key"] == "file":
                self.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.files[value["path"]] = self.blobs[value["oid"]]
        self.commits.append(header)


class _Handler(BaseHTTPRequestHandler):
    """The endpoints of one hub, which `serve` puts in."""

    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        path = urlsplit(self.path).path
        self.hub.requests.append((self.command, path, self.headers.get("Range")))
        self.hub.tokens.add(self.headers.get("Authorization"))
        api = f"/api/models/{self.hub.repository}"
        known = (api, f"{api}/revision/main", f"{api}/revision/{COMMIT}")
        if path in known:
            siblings = [self.hub.sibling(name) for name in self.hub.files]
            self.reply({"id": self.hub.repository, "sha": COMMIT, "siblings": siblings})
        elif path.startswith(f"{api}/tree/"):
            self.reply([self.hub.branch(name) for name in self.hub.files])
        elif path.startswith(f"{api}/revision/"):
            self.missing("RevisionNotFound")
        elif path.startswith(f"/{self.hub.repository}/resolve/"):
            self.send_file(path.split("/", 5)[5], body)
        else:
            self.missing("RepoNotFound")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = urlsplit(self.path).path
        self.hub.requests.append((self.command, path, None))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.refuse()
        elif path == "/api/repos/create":
            self.hub.created.append(json.loads(body))
            self.reply({"url": f"{self.hub.endpoint}/{self.hub.repository}"})
        elif path.startswith(f"/api/models/{self.hub.repository}/branch/"):
            self.hub.created.append({"branch": path.rpartition("/")[2]})
            self.reply({})
        elif path.startswith(f"/api/models/{self.hub.repository}/preupload/"):
            self.reply(
                {"files": [self.hub.plan(item["path"]) for item in json.loads(body)["files"]]}
            )
        elif path == f"/{self.hub.repository}.git/info/lfs/objects/batch":
            objects = [self.hub.parcel(item) for item in json.loads(body)["objects"]]
            self.reply({"transfer": "basic", "objects": objects})
        elif path.startswith(f"/api/models/{self.hub.repository}/commit/"):
            self.hub.take(body, path.rpartition("/")[2])
            address = f"{self.hub.endpoint}/{self.hub.repository}/commit/{COMMIT}"
            self.reply({"commitUrl": address, "commitOid": COMMIT})
        else:
            self.missing("RepoNotFound")

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.hub.blobs[hashlib.sha256(data).hexdigest()] = data
        self.reply({})

    def refuse(self) -> None:
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def reply(self, document: object) -> None:
        data = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def missing(self, code: str) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_file(self, name: str, body: bool) -> None:
        if name not in self.hub.files:
            self.missing("EntryNotFound")
            return
        data = self.hub.files[name]
        size, _, etag = self.hub.facts(name)
        begin = 0
        wanted = self.headers.get("Range") if self.hub.answers_ranges else None
        if wanted:
            begin = int(wanted.removeprefix("bytes=").split("-")[0])
        self.send_response(206 if wanted else 200)
        self.send_header("ETag", f'"{etag}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        if wanted:
            self.send_header("Content-Range", f"bytes {begin}-{size - 1}/{size}")
        self.send_header("Content-Length", str((len(data) if body else size) - begin))
        self.end_headers()
        if not body:
            return
        if name in self.hub.cut:
            self.hub.cut.discard(name)
            self.wfile.write(data[begin : len(data) // 2])
            self.close_connection = True
            return
        if name in self.hub.stall:
            self.hub.stall.discard(name)
            self.wfile.write(data[begin : len(data) // 2])
            self.wfile.flush()
            self.hub.stalled.set()
            self.hub.released.wait(30)
            self.close_connection = True
            return
        self.wfile.write(data[begin:])


@contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    """Serve until the block ends; `hub.endpoint` is the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        hub.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
