"""One file from a hub into its cache, such that what is interrupted goes on where it was.

The hub's client keeps the cache's layout, but a file that it began is lost when it ends. So large
files are put where the client looks for finished ones, `blobs/<hash>`, and it does the rest.
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

from .trouble import Place

SMALL = 4 << 20
"""Bytes up to which a file is sooner fetched again than gone on with."""

SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class RemoteFile:
    """A file as the hub lists it. blob: what it is called in the cache."""

    name: str
    size: int
    blob: str


def fetch(file: RemoteFile, revision: str, place: Place) -> Path:
    """Where the file is in the cache, after it is there. Raises what the hub's client raises."""
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
    """Where the client keeps a file's content."""
    return repo_cache(place) / "blobs" / (file.blob or "unknown")


def to_fetch(file: RemoteFile, place: Place) -> int:
    """Bytes of a file that are still to come."""
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
    told = get_hf_file_metadata(url, token=place.token.value, endpoint=place.endpoint)
    if told.etag is None or "/" in told.etag or told.size is None:
        return  # an unusual hub: the client alone may still manage
    if urlsplit(told.location).netloc != urlsplit(url).netloc:
        headers.pop("authorization", None)  # the token is for the hub, not for where it sends us
    blob = repo_cache(place) / "blobs" / told.etag
    lock = place.cache / ".locks" / repo_cache(place).name / f"{told.etag}.lock"
    blob.parent.mkdir(parents=True, exist_ok=True)
    lock.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):
        if blob.exists():
            return
        partial = _partial(blob)
        with partial.open("ab") as out:
            begun = out.tell()
            if begun > told.size:
                out.truncate(0)
                begun = 0
            http_get(
                told.location,
                out,
                resume_size=begun,
                headers=headers,
                expected_size=told.size,
                displayed_filename=file.name,
            )
        if begun:
            _check(partial, told.etag, file)
        partial.replace(blob)


def _check(partial: Path, etag: str, file: RemoteFile) -> None:
    """Whether what was there before and what came now are one file."""
    if not SHA256.fullmatch(etag):
        return
    with partial.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != etag:
        partial.unlink()
        raise DownloadError(
            f"{file.name} is damaged: its SHA-256 is {found[:12]}..., the hub says {etag[:12]}...; "
            "it is removed: run again to download it"
        )
