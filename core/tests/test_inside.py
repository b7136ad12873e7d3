"""Folders that code in a sandbox changes while they are walked: nothing outside is seen or lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tramontane.agent import inside
from tramontane.agent.deleting import delete
from tramontane.agent.kept_folders import UNCOUNTED, KeptFolders


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """It has a folder `way` with a file, as has a place outside."""
    for name in ("folder/way", "outside"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_text("harmless")
        os.utime(tmp_path / name / "file", (1000, 1000))
    return tmp_path / "folder"


def swap(folder: Path) -> None:
    """What code inside can do at any moment."""
    if not (folder / "way").is_symlink():
        (folder / "way").rename(folder / "was")
        (folder / "way").symlink_to(folder.parent / "outside")


def swapped_before(folder: Path, call: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The call, before whose first use on this name the link is put in."""

    def first(path: Any, *arguments: Any, **keywords: Any) -> Any:
        if os.path.basename(path if isinstance(path, str | os.PathLike) else "") == name:
            swap(folder)
        return call(path, *arguments, **keywords)

    return first


@pytest.mark.parametrize("at", ["open", "scandir"])
def test_a_folder_that_becomes_a_link_is_not_walked(
    folder: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    monkeypatch.setattr(os, at, swapped_before(folder, getattr(os, at), "way"))
    names = [name for name, _ in inside.listed(folder, 9, since=2000)]
    assert names == []
    assert (folder.parent / "outside" / "file").exists()


def test_what_has_expired_is_removed_where_it_was_seen(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "unlink", swapped_before(folder, os.unlink, "file"))
    assert inside.listed(folder, 9, since=2000) == []
    assert (folder / "way").is_symlink()
    assert not (folder / "was" / "file").exists()
    assert (folder.parent / "outside" / "file").exists()


def test_names_that_are_no_text_are_told_all_the_same(folder: Path) -> None:
    try:
        (folder / os.fsdecode(b"a\xff")).write_text("")
    except OSError as error:
        pytest.skip(f"this file system has no such names: {error}")
    assert [name for name, _ in inside.listed(folder, 9)] == ["a\ufffd", "way/file"]


def test_sizes_are_of_the_folder_alone(folder: Path) -> None:
    before = inside.size(folder) or 0
    (folder / "link").symlink_to("/usr")
    (folder / "way" / "more").write_bytes(bytes(1 << 20))
    assert (1 << 20) <= (inside.size(folder) or 0) - before < (1 << 21)


def test_a_folder_that_cannot_be_counted_is_a_large_one(tmp_path: Path) -> None:
    deep = tmp_path / "top" / "conversation"
    deep.joinpath(*["d"] * 70).mkdir(parents=True)
    folders = KeptFolders(tmp_path / "top", 3600.0, UNCOUNTED - 1, -1.0)
    (found,) = folders.measured()
    assert (found.folder, found.size) == (deep, UNCOUNTED)
    (aside,) = folders.set_aside([found], ())
    delete(aside)
    assert os.listdir(tmp_path / "top") == []
