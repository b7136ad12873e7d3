"""`tramontane cache`: what is kept, how much of it there may be, and how it is got rid of."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from tramontane.prepared import shelf
from tramontane.prepared.array_file import write

from .conftest import Cli


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three prepared models; the first was used last."""
    monkeypatch.setenv("TRAMONTANE_CACHE", str(tmp_path))
    monkeypatch.delenv(shelf.SETTING, raising=False)
    for number, name in enumerate(("new", "older", "oldest")):
        handle, part = shelf.unfinished()
        with os.fdopen(handle, "w+b", buffering=0) as file:
            write(file, {"name": f"{name}.gguf"}, {}, [np.zeros(10000, np.uint8)])  # type: ignore[arg-type]
        path = part.replace(shelf.path_of(name, "0"))
        used = path.stat().st_mtime - 60 * number
        os.utime(path, (used, used))
    return tmp_path / "prepared"


def names() -> list[str]:
    return [each.path.name.partition("-")[0] for each in shelf.shelved()]


def test_it_lists_models_by_use(run: Cli, cache: Path) -> None:
    status, out, err = run("cache")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["new.gguf", "older.gguf", "oldest.gguf"]
    assert str(cache) in lines[4]
    told = json.loads(run("cache", "--json")[1])
    assert [each["model"] for each in told["models"]] == ["new.gguf", "older.gguf", "oldest.gguf"]
    assert told["on"] is True


def test_a_damaged_one_is_named(run: Cli) -> None:
    os.truncate(shelf.path_of("older", "0"), 5000)
    assert "older-0.model (damaged)" in run("cache")[1]


def test_the_oldest_are_trimmed(run: Cli) -> None:
    assert "removed 1 prepared model," in run("cache", "trim", "40KB")[1]
    assert names() == ["new", "older"]
    assert "removed 2 prepared models" in run("cache", "clear")[1]
    assert names() == []


def test_what_nobody_uses_or_finishes_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    os.utime(shelf.path_of("oldest", "0"), (1, 1))
    handle, part = shelf.unfinished()
    os.close(handle)
    assert shelf.trim(1 << 40)
    assert part.exists(), "somebody may be writing it"
    os.utime(part, (1, 1))
    shelf.trim(1 << 40)
    assert not part.exists()
    assert names() == ["new", "older"]


def test_limits(run: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "RESERVE", 0)
    assert "may take 40.0 KB" in run("cache", "limit", "40KB")[1]
    assert not shelf.make_room(50000)
    assert names() == ["new", "older", "oldest"], "it would not have helped"
    assert shelf.make_room(20000)
    assert names() == ["new"]
    run("cache", "limit", "auto")
    assert shelf.limit() > 1 << 20
    monkeypatch.setattr(shelf, "RESERVE", 1 << 60)
    assert not shelf.make_room(10)


def test_off_and_on(run: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no more models are kept" in run("cache", "off")[1]
    assert not shelf.is_on()
    assert "off:" in run("cache")[1]
    run("cache", "on")
    assert shelf.is_on()
    monkeypatch.setenv(shelf.SETTING, "off")
    assert not shelf.is_on()


def test_kernels_are_cleared_when_asked_for(run: Cli, tmp_path: Path) -> None:
    (tmp_path / "numba").mkdir()
    (tmp_path / "numba" / "kernel.o").write_bytes(bytes(1000))
    assert "1.0 KB of kernels" in run("cache")[1]
    run("cache", "clear")
    assert (tmp_path / "numba" / "kernel.o").exists()
    assert "removed compiled kernels, 1.0 KB freed" in run("cache", "clear", "--kernels")[1]
    assert not (tmp_path / "numba").exists()


def test_a_folder_that_cannot_be_written_is_named(
    run: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TRAMONTANE_CACHE", str(tmp_path / "file"))
    status, _, err = run("cache", "off")
    assert status == 1
    assert "cannot be written" in err
