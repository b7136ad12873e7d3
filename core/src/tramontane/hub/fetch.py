"""Download one file from a hub into its cache, resuming interrupted downloads.

The hub's client discards a partial file when it exits. So large files are downloaded here, to
`blobs/<hash>` where the client looks for complete files; the client does the rest.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.constants import MAX_HTTP_DOWNLOAD_SIZE
from huggingface_hub.file_download import http_get, repo_folder_name
from huggingface_hub.utils import WeakFileLock, build_hf_headers  # type: ignore[attr-defined]

from tramontane.errors import DownloadError

from .errors import Place

SMALL = 4 << 20
"""Bytes; a smaller file is downloaded again instead of resumed."""

SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class RemoteFile:
    """A file as listed by the hub. blob: its name in the cache's blobs folder."""

    name: str
    size: int
    blob: str


def fetch(file: RemoteFile, revision: str, place: Place) -> Path:
    """Download a file; returns its path in the cache. Raises the errors of the hub's client."""
    if SMALL < file.size <= MAX_HTTP_DOWNLOAD_SIZE and not blob_path(file, place).exists():
        _fetch_blob(file, revision, place)
    return Path(
        hf_hub_download(
            place.asked.repo,
            file.name,
            revision=revision,
            cache_dir=place.cache,
            token=place.token.value,
            endpoint=place.endpoint,
        )
    )


def repo_cache(place: Place) -> Path:
    """The folder of this repository in the cache."""
    return place.cache / repo_folder_name(repo_id=place.asked.repo, repo_type="model")


def blob_path(file: RemoteFile, place: Place) -> Path:
    """The path where the client stores a file's content."""
    return repo_cache(place) / "blobs" / (file.blob or "unknown")


def to_fetch(file: RemoteFile, place: Place) -> int:
    """Bytes of a file that are still to be downloaded."""
    blob = blob_path(file, place)
    if blob.exists():
        return 0
    partial = _partial(blob)
    return max(0, file.size - (partial.stat().st_size if partial.exists() else 0))


def _partial(blob: Path) -> Path:
    return blob.with_name(f"{blob.name}.incomplete")


def _fetch_blob(file: RemoteFile, revision: str, place: Place) -> None:
    url = hf_hub_url(place.asked.repo, file.name, revision=revision, endpoint=place.endpoint)
    headers = build_hf_headers(token=place.token.value) | {"Accept-Encoding": "identity"}
    metadata = get_hf_file_metadata(url, token=place.token.value, endpoint=place.endpoint)
    if metadata.etag is None or "/" in metadata.etag or metadata.size is None:
        return  # an unusual hub: leave the download to the client
    if urlsplit(metadata.location).netloc != urlsplit(url).netloc:
        headers.pop("authorization", None)  # never send the token to another host
    blob = repo_cache(place) / "blobs" / metadata.etag
    lock = place.cache / ".locks" / repo_cache(place).name / f"{metadata.etag}.lock"
    blob.parent.mkdir(parents=True, exist_ok=True)
    lock.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):
        if blob.exists():
            return
        partial = _partial(blob)
        with partial.open("ab") as out:
            resumed = out.tell()
            if resumed > metadata.size:
                out.truncate(0)
                resumed = 0
            http_get(
                metadata.location,
                out,
                resume_size=resumed,
                headers=headers,
                expected_size=metadata.size,
                displayed_filename=file.name,
            )
        if resumed:
            _check(partial, metadata.etag, file)
        partial.replace(blob)


def _check(partial: Path, etag: str, file: RemoteFile) -> None:
    """Check the hash of a resumed file. Raises DownloadError if it differs."""
    if not SHA256.fullmatch(etag):
        return
    with partial.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if digest != etag:
        partial.unlink()
        raise DownloadError(
            f"{file.name} is damaged: its SHA-256 is {digest[:12]}..., the hub's is "
            f"{etag[:12]}...; it is removed: run again to download it again"
        )
