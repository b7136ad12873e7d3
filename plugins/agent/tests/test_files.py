"""Files of a conversation: limits, expiry, and nothing outside of the folder."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest
from tramontane.agent import inside
from tramontane.errors import RequestError, UsageError
from tramontane.plugin import Toolset, load
from tramontane.registry import Registry
from tramontane.toolset import ToolContext

OFFER = Registry().get(Toolset, "files")
Calls = list[tuple[str, dict[str, Any]]]


def ran(folder: Path, calls: Calls, **options: Any) -> list[Any]:
    """What calls of tools return, one after the other."""

    async def all_of_them() -> list[Any]:
        given = {**OFFER.options, **options}
        context = ToolContext(conversation="one", folder=folder, options=given)
        async with load(OFFER.open)(context) as session:
            tools = {one.tool.name: one.run for one in session.functions()}
            return [await tools[name](**arguments) for name, arguments in calls]

    return asyncio.run(all_of_them())


def written(folder: Path, name: str, text: str, **options: Any) -> None:
    ran(folder, [("write_file", {"name": name, "text": text})], **options)


def test_what_is_written_can_be_listed_and_read(tmp_path: Path) -> None:
    said = ran(tmp_path, [
        ("list_files", {}), ("write_file", {"name": "notes/a.txt", "text": "grüße"}),
        ("list_files", {}), ("read_file", {"name": "notes/a.txt"}),
    ])  # fmt: skip
    assert said[0] == "there are no files"
    assert said[1].files == [tmp_path / "notes" / "a.txt"]
    assert said[2:] == ["notes/a.txt (7)", "grüße"]


@pytest.mark.parametrize(
    "name",
    [
        "../a",
        "/etc/passwd",
        "a/../../b",
        "",
        ".",
        "a\\b",
        "c:x",
        "a\0b",
        "x/" * 20 + "a",
        "y" * 300,
    ],
)
def test_names_lead_nowhere_else(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for tool, more in (("read_file", {}), ("write_file", {"text": "x"})):
        with pytest.raises(RequestError, match=r"no name of a file|is no|cannot open"):
            ran(folder, [(tool, {"name": name, **more})])
    assert [path.name for path in tmp_path.rglob("*")] == ["in"]


def test_no_link_is_followed_at_any_level(tmp_path: Path) -> None:
    folder, outside = tmp_path / "in", tmp_path / "out"
    for each in (folder, outside):
        each.mkdir()
    (outside / "secret").write_text("secret")
    (folder / "file").symlink_to(outside / "secret")
    (folder / "below").symlink_to(outside)
    os.mkfifo(folder / "pipe")
    for name in ("file", "below/secret", "below/new", "pipe"):
        for tool, more in (("read_file", {}), ("write_file", {"text": "x"})):
            with pytest.raises(RequestError):
                ran(folder, [(tool, {"name": name, **more})])
    assert ran(folder, [("list_files", {})]) == ["there are no files"]
    assert (outside / "secret").read_text() == "secret"
    assert os.listdir(outside) == ["secret"]


def test_sizes_and_counts_have_limits(tmp_path: Path) -> None:
    written(tmp_path, "a", "x" * 60)
    with pytest.raises(RequestError, match="a file may have 50"):
        written(tmp_path, "b", "x" * 51, max_file_bytes=50)
    with pytest.raises(RequestError, match="more than 100 bytes together"):
        written(tmp_path, "b", "x" * 50, max_bytes=100)
    written(tmp_path, "a", "y" * 90, max_bytes=100)  # in place of itself
    with pytest.raises(RequestError, match="1 files already"):
        written(tmp_path, "b", "x", max_files=1)
    with pytest.raises(RequestError, match="more than 50 bytes"):
        ran(tmp_path, [("read_file", {"name": "a"})], max_file_bytes=50)
    with pytest.raises(UsageError, match=r"files\.hours=0 should be above 0"):
        ran(tmp_path, [], hours=0)


def test_what_has_expired_is_gone(tmp_path: Path) -> None:
    written(tmp_path, "old", "x")
    written(tmp_path, "new", "x")
    before = time.time() - 7300
    os.utime(tmp_path / "old", (before, before))
    assert ran(tmp_path, [("list_files", {})], hours=2.0) == ["new (1)"]
    assert not (tmp_path / "old").exists()


def test_a_long_file_is_read_in_parts_and_bytes_are_none(tmp_path: Path) -> None:
    (tmp_path / "long").write_text("ä" * 40_000)
    (tmp_path / "bytes").write_bytes(b"\xff\x00\xfe")
    first, second, past = ran(
        tmp_path, [("read_file", {"name": "long", "offset": n}) for n in (0, 32_000, 99_999)]
    )
    assert first.endswith("ä\n(characters 0 to 32000 of 40000)")
    assert second.endswith("ä\n(characters 32000 to 40000 of 40000)")
    assert past == "\n(characters 99999 to 99999 of 40000)"
    with pytest.raises(RequestError, match="bytes is no text: 3 bytes"):
        ran(tmp_path, [("read_file", {"name": "bytes"})])


def test_a_file_that_grows_meanwhile_is_not_read_on(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100)
    with pytest.raises(RequestError, match="more than 99 bytes"):
        inside.read(tmp_path, "a", 99)
