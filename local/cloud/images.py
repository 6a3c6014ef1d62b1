"""A small real container image, pushed over the registry protocol. No container engine is needed."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import secrets
import tarfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cloud.local_aws import LocalAws

# What `docker build` and `docker push` produce.
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIGURATION = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
INDEX = "application/vnd.oci.image.index.v1+json"

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class PushRefused(Exception):
    """The registry refused a request. `code` is its error code, such as TAG_INVALID."""

    def __init__(self, url: str, status: int, body: str) -> None:
        super().__init__(f"PUT {url} answered {status}: {body}")
        try:
            self.code = json.loads(body)["errors"][0]["code"]
        except (ValueError, KeyError, IndexError):
            self.code = ""


def push_image(
    aws: LocalAws,
    repository: str,
    tags: Iterable[str],
    *,
    architecture: str = "amd64",
    files: Mapping[str, str] | None = None,
    program: bytes | None = None,
    arguments: Iterable[str] = (),
    labels: Mapping[str, str] | None = None,
    unique: bool = False,
) -> str:
    """Push an image and give it the tags, in this order: the moving tag belongs last.

    Returns the digest. The same arguments make the same image, unless it is to be `unique`.
    No tags push the image by its digest alone, as happens to the images of an index.
    `files` are the contents of its one layer by path; `program` is a static executable, which the image starts
    with `arguments`.
    """
    image = _assemble(
        architecture,
        dict(files or {"index.html": "hello\n"}),
        program,
        ["/app", *arguments],
        dict(labels or {}),
        unique,
    )
    registry = _Registry(aws, repository)
    for blob in image.blobs:
        registry.upload(blob)
    for reference in list(tags) or [image.digest]:
        registry.put_manifest(reference, image.manifest)
    return image.digest


def push_index(aws: LocalAws, repository: str, tags: Iterable[str], architectures: Iterable[str]) -> str:
    """Push an index as buildx does: an image for each architecture, and an attestation. Returns its digest."""
    entries = []
    registry = _Registry(aws, repository)
    for operating_system, architecture in [*(("linux", name) for name in architectures), ("unknown", "unknown")]:
        image = _assemble(architecture, {"index.html": "hello\n"}, None, [], {}, unique=True)
        for blob in image.blobs:
            registry.upload(blob)
        registry.put_manifest(image.digest, image.manifest)
        platform = {"os": operating_system, "architecture": architecture}
        entries.append({**_descriptor(MANIFEST, image.manifest), "platform": platform})
    index = _json({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})
    for tag in tags:
        registry.put_manifest(tag, index, INDEX)
    return _digest(index)


def push_event(repository: str, digest: str, tag: str, at: datetime) -> dict[str, Any]:
    """ECR's event of a push, as far as a release reads it."""
    return {
        "source": "aws.ecr",
        "detail-type": "ECR Image Action",
        "time": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "detail": {
            "action-type": "PUSH",
            "result": "SUCCESS",
            "repository-name": repository,
            "image-digest": digest,
            "image-tag": tag,
        },
    }


@dataclass
class _Image:
    manifest: bytes
    blobs: list[bytes]

    @property
    def digest(self) -> str:
        return _digest(self.manifest)


def _assemble(
    architecture: str,
    files: dict[str, str],
    program: bytes | None,
    command: list[str],
    labels: dict[str, str],
    unique: bool,
) -> _Image:
    if unique:
        files = {**files, "unique": secrets.token_hex(16)}
    archive = _tar(files, program)
    # Without a time, so that the same files compress to the same bytes.
    layer = gzip.compress(archive, mtime=0)
    configuration = _json(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": command, "Labels": labels},
            "rootfs": {"type": "layers", "diff_ids": [_digest(archive)]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _descriptor(CONFIGURATION, configuration),
            "layers": [_descriptor(LAYER, layer)],
        }
    )
    return _Image(manifest, [configuration, layer])


def _tar(files: dict[str, str], program: bytes | None) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, content in sorted(files.items()):
            member = tarfile.TarInfo(path)
            member.size = len(content.encode())
            tar.addfile(member, io.BytesIO(content.encode()))
        if program is not None:
            member = tarfile.TarInfo("app")
            member.size, member.mode = len(program), 0o755
            tar.addfile(member, io.BytesIO(program))
    return archive.getvalue()


def _descriptor(media_type: str, content: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "size": len(content), "digest": _digest(content)}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class _Registry:
    """The registry protocol of ECR, whose credentials come from GetAuthorizationToken."""

    def __init__(self, aws: LocalAws, repository: str) -> None:
        answer = aws.client("ecr").get_authorization_token()
        self._token = answer["authorizationData"][0]["authorizationToken"]
        self._origin = aws.endpoint_url
        self._base = f"{aws.endpoint_url}/v2/{repository}"

    def upload(self, blob: bytes) -> None:
        session = self._send("POST", f"{self._base}/blobs/uploads/", b"")
        location = urllib.parse.urljoin(self._origin, session)
        query = urllib.parse.urlencode({"digest": _digest(blob)})
        separator = "&" if "?" in location else "?"
        self._send("PUT", f"{location}{separator}{query}", blob, "application/octet-stream")

    def put_manifest(self, reference: str, manifest: bytes, media_type: str = MANIFEST) -> None:
        self._send("PUT", f"{self._base}/manifests/{reference}", manifest, media_type)

    def _send(self, method: str, url: str, body: bytes, media_type: str = "") -> str:
        headers = {"Authorization": f"Basic {self._token}"}
        if media_type:
            headers["Content-Type"] = media_type
        request = urllib.request.Request(url, body, headers, method=method)
        try:
            with _opener.open(request, timeout=300) as response:
                return response.headers.get("Location", "")
        except urllib.error.HTTPError as error:
            raise PushRefused(url, error.code, error.read().decode(errors="replace")) from None
