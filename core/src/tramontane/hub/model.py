"""Download a complete model from a hub: list its files, check the disk space, download them."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from huggingface_hub import HfApi, constants

from tramontane.checkpoint.weight_files import is_index, read_index
from tramontane.errors import DownloadError, ModelNotFound
from tramontane.memory import readable

from .cached import cached_files, find_cached
from .choose import all_parts, choices, first_parts, one_file, whole_model
from .errors import FAILURES, Place, explain, reason, unreachable
from .fetch import RemoteFile, fetch, to_fetch
from .name import parse
from .options import HubOptions
from .token import read_token

log = logging.getLogger(__name__)
PATIENCE = 30.0
"""Timeout in seconds for the list of a repository's files."""

SPARE = 64 << 20
"""Bytes to leave free on the disk."""


def fetch_model(name: str, options: HubOptions) -> Path:
    """As `tramontane.hub.download`."""
    place = _place(name, options)
    if constants.HF_HUB_OFFLINE:
        try:
            return find_cached(place)
        except ModelNotFound as error:
            raise ModelNotFound(f"{error}; HF_HUB_OFFLINE is set: unset it to download") from error
    try:
        commit, files = _list(place)
    except FAILURES as error:
        if unreachable(error) and (found := _in_cache(place)):
            log.warning("cannot reach %s (%s): using the cache", place.endpoint, reason(error))
            return found
        raise explain(error, place) from error
    try:
        return _fetch(place, commit, files)
    except FAILURES as error:
        raise explain(error, place) from error


def list_model(name: str, options: HubOptions) -> dict[str, int]:
    """As `tramontane.hub.list_files`."""
    place = _place(name, options)
    if not constants.HF_HUB_OFFLINE:
        try:
            return {file.name: file.size for file in _list(place)[1].values()}
        except FAILURES as error:
            if not unreachable(error):
                raise explain(error, place) from error
            log.warning("cannot reach %s (%s): using the cache", place.endpoint, reason(error))
    return cached_files(place)


def _place(name: str, options: HubOptions) -> Place:
    return Place(
        asked=parse(name),
        revision=options.revision,
        endpoint=_endpoint(),
        cache=Path(options.cache_dir or constants.HF_HUB_CACHE).expanduser(),
        token=read_token(options.token_source),
    )


def _endpoint() -> str:
    endpoint = constants.ENDPOINT
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise DownloadError(f"HF_ENDPOINT={endpoint} is no address, such as https://host")
    return endpoint


def _in_cache(place: Place) -> Path | None:
    try:
        return find_cached(place)
    except ModelNotFound:
        return None


def _list(place: Place) -> tuple[str, dict[str, RemoteFile]]:
    """The revision's commit, and all of its files by name."""
    api = HfApi(endpoint=place.endpoint, token=place.token.value)
    try:
        info = api.model_info(
            place.asked.repo, revision=place.revision, files_metadata=True, timeout=PATIENCE
        )
        files = {}
        for item in info.siblings or ():
            blob = item.lfs.sha256 if item.lfs is not None else item.blob_id
            files[item.rfilename] = RemoteFile(item.rfilename, item.size or 0, blob or "")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, FAILURES):
            raise
        raise DownloadError(
            f"{place.endpoint} does not answer as a hub does ({reason(error)}): check HF_ENDPOINT"
        ) from error
    if not info.sha:
        raise DownloadError(f"{place.endpoint} names no commit of {place.asked}: check HF_ENDPOINT")
    return info.sha, files


def _fetch(place: Place, commit: str, files: dict[str, RemoteFile]) -> Path:
    asked = place.asked
    if asked.file is not None:
        return _all([files[name] for name in one_file(files, asked)], commit, place)
    small, weights = whole_model(files, asked.repo)
    if not weights:
        single = first_parts(files)
        if len(single) > 1:
            raise ModelNotFound(f"{asked.repo} holds several models: {choices(asked.repo, single)}")
        # a single model, perhaps in parts
        names = one_file(files, type(asked)(asked.repo, all_parts(single[0])[0]))
        return _all([files[name] for name in names], commit, place)
    listed = []
    for name in filter(is_index, weights):
        index, folder = _all([files[name]], commit, place), name.rpartition("/")[0]
        listed += [f"{folder}/{each}" if folder else each for each in read_index(index)]
    weights += listed
    if missing := [name for name in weights if name not in files]:
        raise ModelNotFound(f"{asked.repo}: its index names {missing[0]}, which is missing")
    return _all([files[name] for name in (*small, *weights)], commit, place).parent


def _all(files: Sequence[RemoteFile], commit: str, place: Place) -> Path:
    """Download files in this order; returns the path of the first one."""
    _see_that_it_fits(files, place)
    # the client records the branch's commit in the cache, which offline use needs
    first = fetch(files[0], place.revision or constants.DEFAULT_REVISION, place)
    if commit not in first.parts:
        raise DownloadError(f"{place.asked.repo} changed while it was fetched: run again")
    for file in files[1:]:
        fetch(file, commit, place)
    return first


def _see_that_it_fits(files: Sequence[RemoteFile], place: Place) -> None:
    """Raise DownloadError with both sizes if the files do not fit on the disk."""
    need = sum(to_fetch(file, place) for file in files)
    folder = next(path for path in (place.cache, *place.cache.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    if need and need + SPARE > free:
        raise DownloadError(
            f"{place.asked} needs {readable(need)} more on the disk of {place.cache}, and "
            f"{readable(free)} are free: make room, name a folder on another disk with --hf-cache "
            "or HF_HOME, or choose a smaller model"
        )
