"""The models in a hub's cache: which there are, how large, and how to remove them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import scan_cache_dir
from huggingface_hub.errors import CacheNotFound

from tramontane.errors import ModelNotFound, RequestError

from .choose import all_parts, first_parts
from .name import HubName, parse


@dataclass(frozen=True)
class StoredModel:
    """A model that needs no download. bytes: on the disk. used: seconds since 1970.

    complete: whether its weights are there, as far as can be seen without reading them.
    """

    name: str
    bytes: int
    used: float
    path: Path
    complete: bool = True


def size_on_disk(path: Path) -> int:
    """Bytes of a model's files: of a folder all files, of one file of several parts all parts."""
    if path.is_dir():
        files = [file for file in path.rglob("*") if file.is_file()]
    else:
        parts = [path.with_name(name) for name in all_parts(path.name)]
        files = [part for part in parts if part.is_file()]
    return sum(file.stat().st_size for file in files)


def stored_models(cache: Path) -> list[StoredModel]:
    """All models of a cache, by name: a repository, or each GGUF file of one."""
    return sorted(
        (model for repo in _repositories(cache) for model in _models(repo)), key=lambda m: m.name
    )


def remove(name: str, cache: Path) -> int:
    """Remove a repository, or a file of one with its parts; returns the bytes that are free now.

    Raises ModelNotFound where the cache has none of that name, RequestError where a file cannot be
    removed.
    """
    wanted = parse(name)
    for repo in _repositories(cache):
        if repo.repo_id == wanted.repo:
            files = _paths(repo)
            parts = set(all_parts(wanted.file or ""))
            if wanted.file is None or files.keys() <= parts:
                plan = scan_cache_dir(cache).delete_revisions(
                    *(revision.commit_hash for revision in repo.revisions)
                )
                plan.execute()
                return int(plan.expected_freed_size)
            if parts & files.keys():
                return _remove_files(repo, parts)
    raise ModelNotFound(f"{wanted} is not in the cache {cache}; see: tramontane list")


def _repositories(cache: Path) -> Iterator[Any]:
    try:
        found = scan_cache_dir(cache).repos
    except (CacheNotFound, ValueError):  # no folder yet, or no folder at all
        return
    yield from (repo for repo in found if repo.repo_type == "model" and repo.revisions)


def _models(repo: Any) -> Iterator[StoredModel]:
    paths = _paths(repo)
    singles = first_parts(list(paths))
    weights = any(name.endswith((".safetensors", ".bin")) for name in paths)
    if weights or ("config.json" in paths and not singles):
        yield StoredModel(
            repo.repo_id, repo.size_on_disk, repo.last_accessed, repo.repo_path, weights
        )
        return
    for single in singles:
        parts = all_parts(single)
        there = [paths[part] for part in parts if part in paths]
        yield StoredModel(
            str(HubName(repo.repo_id, single)),
            sum(file.size_on_disk for file in there),
            max(file.blob_last_accessed for file in there),
            there[0].file_path,
            len(there) == len(parts),
        )


def _paths(repo: Any) -> dict[str, Any]:
    """Files of all revisions by their path in the repository; the client's names lack folders."""
    return {
        file.file_path.relative_to(revision.snapshot_path).as_posix(): file
        for revision in repo.revisions
        for file in revision.files
    }


def _remove_files(repo: Any, names: set[str]) -> int:
    """Links of all revisions, and contents that nothing else links to; returns their bytes."""
    gone, others = {}, set()
    for revision in repo.revisions:
        for file in revision.files:
            if file.file_path.relative_to(revision.snapshot_path).as_posix() in names:
                gone[file.file_path] = file
            else:
                others.add(file.blob_path)
    freed = 0
    for link, file in gone.items():
        try:
            link.unlink(missing_ok=True)
            inside = repo.repo_path in file.blob_path.parents
            if inside and file.blob_path not in others and file.blob_path.exists():
                freed += file.size_on_disk
                file.blob_path.unlink()
        except OSError as error:
            raise RequestError(f"cannot remove {link}: {error.strerror}") from error
    return freed
