"""Find models in the hub cache without network access."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from tramontane.checkpoint.weight_files import PARTS_INDEX, find_weights
from tramontane.errors import CheckpointError, ModelNotFound

from .choose import ADAPTER, MIXTURE, all_parts, choices, first_parts, whole_model
from .errors import Place
from .fetch import repo_cache
from .name import HubName


def find_cached(place: Place) -> Path:
    """The model's folder or file. Raises ModelNotFound with the name of a missing file."""
    asked = place.asked
    if asked.file is not None:
        return _cached_parts(asked.file, place)
    configured = _find("config.json", place)
    for whole in () if configured else (PARTS_INDEX, ADAPTER, MIXTURE[0]):
        if path := _find(whole, place):
            return _cached_folder(path.parent, place)
    single = _single_files(place)
    if single and not configured:
        if len(single) > 1:
            raise ModelNotFound(f"the cache has several files: {choices(asked.repo, single)}")
        return _cached_parts(single[0], place)
    folder = _cached("config.json", place).parent
    try:
        find_weights(folder)
    except CheckpointError as error:
        raise ModelNotFound(f"the cache has only a part of {asked.repo}: {error}") from error
    return folder


def _cached_folder(folder: Path, place: Place) -> Path:
    """A folder without a configuration of its own, after checking that all weights are cached."""
    small, weights = whole_model(cached_files(place), place.asked.repo)
    try:
        for inside in dict.fromkeys(Path(name).parent for name in weights):
            find_weights(folder / inside)
    except CheckpointError as error:
        raise ModelNotFound(f"the cache has only a part of {place.asked.repo}: {error}") from error
    if not (small and weights):
        raise ModelNotFound(f"the cache has only a part of {place.asked.repo}: it has no weights")
    return folder


def _cached_parts(file: str, place: Place) -> Path:
    """The first part of a file, after checking that all parts are cached."""
    paths = [_cached(name, place) for name in all_parts(file)]
    return paths[0]


def _cached(name: str, place: Place) -> Path:
    if path := _find(name, place):
        return path
    wanted = HubName(place.asked.repo, name)
    at = f" at revision {place.revision}" if place.revision else ""
    raise ModelNotFound(f"{wanted}{at} is not in the cache {place.cache}")


def _find(name: str, place: Place) -> Path | None:
    path = try_to_load_from_cache(
        place.asked.repo, name, cache_dir=place.cache, revision=place.revision
    )
    return Path(path) if isinstance(path, str) else None


def _single_files(place: Place) -> list[str]:
    """Single-file models in the cached snapshot of the revision."""
    return first_parts(cached_files(place))


def cached_files(place: Place) -> dict[str, int]:
    """Bytes of the files in the cached snapshot of the revision, by name."""
    revision = place.revision or "main"
    ref = repo_cache(place) / "refs" / revision
    commit = ref.read_text().strip() if ref.is_file() else revision
    snapshot = repo_cache(place) / "snapshots" / commit
    found = [path for path in snapshot.rglob("*") if path.is_file()]
    return {path.relative_to(snapshot).as_posix(): path.stat().st_size for path in found}
