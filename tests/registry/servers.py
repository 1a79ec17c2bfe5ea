"""Real registries on loopback, a proxy that cuts connections, and a registry that does what a test wants of it."""

from __future__ import annotations

import datetime
import hashlib
import http.client
import ipaddress
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from twinroot.registry.manifest import OCI_INDEX, OCI_MANIFEST, TITLE

EMPTY = "application/vnd.oci.empty.v1+json"


def digest_of(data: bytes) -> str:
    """sha256 of bytes, as registries write it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass(frozen=True)
class Registry:
    """A running registry: `host` is 127.0.0.1:PORT, `store` where it keeps what it has."""

    host: str
    store: Path
    ca_file: Path | None = None

    def connection(self) -> http.client.HTTPConnection:
        """A connection to it."""
        if self.ca_file:
            context = ssl.create_default_context(cafile=str(self.ca_file))
            return http.client.HTTPSConnection(self.host, context=context, timeout=20)
        return http.client.HTTPConnection(self.host, timeout=20)

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
        """Status and headers of an answer."""
        connection = self.connection()
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            answer.read()
            return answer.status, answer.headers
        finally:
            connection.close()

    def put_blob(self, repository: str, data: bytes, **headers: str) -> dict[str, Any]:
        """Store a blob; its descriptor."""
        _, found = self.request("POST", f"/v2/{repository}/blobs/uploads/", b"", **headers)
        location = found["Location"].split(self.host, 1)[-1]
        url = f"{location}{'&' if '?' in location else '?'}digest={digest_of(data)}"
        status, _ = self.request("PUT", url, data, Content_Type="application/octet-stream", **headers)
        assert status == 201
        return {"mediaType": "application/octet-stream", "digest": digest_of(data), "size": len(data)}

    def put_document(self, repository: str, selector: str, document: dict[str, Any], **headers: str) -> dict[str, Any]:
        """Store a manifest or an index; its descriptor."""
        data = json.dumps(document).encode()
        kind = document["mediaType"]
        status, _ = self.request("PUT", f"/v2/{repository}/manifests/{selector}", data, Content_Type=kind, **headers)
        assert status == 201
        return {"mediaType": kind, "digest": digest_of(data), "size": len(data)}

    def put_artifact(self, repository: str, tag: str | None, files: dict[str, bytes], **headers: str) -> dict[str, Any]:
        """Store an artifact with files, under a tag or its digest alone; its descriptor."""
        layers = []
        for name, data in files.items():
            layers.append({**self.put_blob(repository, data, **headers), "annotations": {TITLE: name}})
        document = manifest(self.put_blob(repository, b"{}", **headers), layers)
        selector = tag or digest_of(json.dumps(document).encode())
        return self.put_document(repository, selector, document, **headers)


def manifest(config: dict[str, Any], layers: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A manifest."""
    config = {**config, "mediaType": EMPTY}
    return {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers, **more}


def index(*entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An image index."""
    return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries), **more}


def for_platform(descriptor: dict[str, Any], text: str) -> dict[str, Any]:
    """An entry of an index."""
    system, architecture = text.split("/")
    return {**descriptor, "platform": {"os": system, "architecture": architecture}}


@contextmanager
def docker_registry(root: Path, *, tls: bool = False, users: dict[str, str] | None = None) -> Iterator[Registry]:
    """Debian's docker-registry on a free port with a store of its own; ended with the block."""
    if not shutil.which("docker-registry"):
        pytest.fail("docker-registry is missing: install the packages of packages.txt")
    port = free_port()
    host = f"127.0.0.1:{port}"
    settings: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(root / "store")}, "delete": {"enabled": True}},
        "http": {"addr": host},
    }
    ca_file = None
    if tls:
        ca_file, certificate, key = server_certificate(root)
        settings["http"]["tls"] = {"certificate": str(certificate), "key": str(key)}
    if users:
        lines = [_htpasswd(name, password) for name, password in users.items()]
        (root / "htpasswd").write_text("\n".join(lines) + "\n")
        settings["auth"] = {"htpasswd": {"realm": "twinroot tests", "path": str(root / "htpasswd")}}
    (root / "config.yml").write_text(json.dumps(settings))
    with (root / "log").open("w") as log:
        process = subprocess.Popen(["docker-registry", "serve", root / "config.yml"], stdout=log, stderr=log)
    try:
        _wait_for(port, process, root / "log")
        yield Registry(host, root / "store", ca_file)
    finally:
        process.terminate()
        process.wait(20)


def _htpasswd(name: str, password: str) -> str:
    argv = ["htpasswd", "-nbB", "-C", "4", name, password]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(400):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    pytest.fail(f"docker-registry does not start:\n{log.read_text()}")


_SIGNS_CERTIFICATES = x509.KeyUsage(
    key_cert_sign=True, digital_signature=False, content_commitment=False, key_encipherment=False,
    data_encipherment=False, key_agreement=False, crl_sign=False, encipher_only=False, decipher_only=False,
)  # fmt: skip


def server_certificate(root: Path) -> tuple[Path, Path, Path]:
    """Files with an authority, a certificate for 127.0.0.1 that it signed, and its key."""
    now = datetime.datetime.now(datetime.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test authority")])
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())

    def build(subject: x509.Name, public: ec.EllipticCurvePublicKey, *, ca: bool) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            # Python 3.13 insists on both, and on the use of the authority's key.
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(issuer, critical=False)
        )
        if ca:
            builder = builder.add_extension(_SIGNS_CERTIFICATES, critical=True)
        else:
            names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(ca_key, hashes.SHA256())

    files = root / "ca.pem", root / "server.pem", root / "server.key"
    pem = serialization.Encoding.PEM
    files[0].write_bytes(build(ca_name, ca_key.public_key(), ca=True).public_bytes(pem))
    files[1].write_bytes(build(name, key.public_key(), ca=False).public_bytes(pem))
    plain = serialization.NoEncryption()
    files[2].write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return files


@dataclass
class CuttingProxy:
    """Passes connections on to a server and cuts each after so many bytes of answers, or of requests with `upward`.

    Counts what went through in that direction.
    """

    target: int
    cut_after: int
    upward: bool = False
    most_cuts: int = 1 << 30
    port: int = 0
    passed: int = 0
    cuts: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def running(self) -> Iterator[CuttingProxy]:
        """Listen while the block runs."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
            threading.Thread(target=self._accept, args=(server,), daemon=True).start()
            yield self

    def _accept(self, server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", self.target)) as upstream:
            there, back = (client, upstream), (upstream, client)
            counted, other = (there, back) if self.upward else (back, there)
            threading.Thread(target=self._pass, args=other, daemon=True).start()
            self._cut(*counted)
            for end in (client, upstream):
                end.shutdown(socket.SHUT_RDWR)

    def _cut(self, source: socket.socket, target: socket.socket) -> None:
        sent = 0
        while data := source.recv(65536):
            cutting = self.cuts < self.most_cuts and sent + len(data) >= self.cut_after
            data = data[: self.cut_after - sent] if cutting else data
            target.sendall(data)
            sent += len(data)
            with self._lock:
                self.passed += len(data)
                self.cuts += cutting
            if cutting:
                return

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)


@dataclass
class Scripted:
    """A registry of a test's own: `answer` gets each request and may answer it; else it is what `content` holds.

    `content` maps paths below /v2/ to (media type, body).
    """

    content: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    answer: Callable[[Request], bool] = lambda _request: False
    requests: list[tuple[str, str]] = field(default_factory=list)
    host: str = ""

    def put(self, repository: str, tag: str, files: dict[str, bytes], **more: Any) -> dict[str, Any]:
        """Hold an artifact; its descriptor."""
        layers = []
        for name, data in files.items():
            self.content[f"{repository}/blobs/{digest_of(data)}"] = ("application/octet-stream", data)
            layers.append(
                {"mediaType": "a/b", "digest": digest_of(data), "size": len(data), "annotations": {TITLE: name}}
            )
        config = {"mediaType": EMPTY, "digest": digest_of(b"{}"), "size": 2}
        return self.put_document(repository, tag, manifest(config, layers, **more))

    def put_document(self, repository: str, tag: str, document: dict[str, Any]) -> dict[str, Any]:
        """Hold a manifest or an index."""
        data = json.dumps(document).encode()
        for selector in (tag, digest_of(data)):
            self.content[f"{repository}/manifests/{selector}"] = (document["mediaType"], data)
        return {"mediaType": document["mediaType"], "digest": digest_of(data), "size": len(data)}

    @contextmanager
    def running(self) -> Iterator[Scripted]:
        """Listen while the block runs."""
        scripted = self

        class Handler(Request):
            registry = scripted

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        self.host = f"127.0.0.1:{server.server_address[1]}"
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()


class Request(BaseHTTPRequestHandler):
    """One request to a scripted registry."""

    registry: Scripted
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""

    def handle(self) -> None:
        """Clients may leave whenever they like."""
        with suppress(OSError):
            super().handle()

    def do_GET(self) -> None:
        """Answer as the test wants, else with what there is."""
        self.registry.requests.append((self.command, self.path))
        if self.registry.answer(self):
            return
        found = self.registry.content.get(self.path.removeprefix("/v2/"))
        if self.path == "/v2/":
            found = ("application/json", b"{}")
        if found is None:
            self.reply(404, json.dumps({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "no such thing"}]}).encode())
            return
        kind, data = found
        start = self.headers.get("Range", "").removeprefix("bytes=").removesuffix("-")
        if not start:
            self.reply(200, data, Content_Type=kind)
        elif int(start) >= len(data):
            self.reply(416)
        else:
            shown = f"bytes {start}-{len(data) - 1}/{len(data)}"
            self.reply(206, data[int(start) :], Content_Type=kind, Content_Range=shown)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_GET  # noqa: N815

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Answer."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
