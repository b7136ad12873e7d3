"""What a model needs is held against what is free, with both numbers, before a weight is read."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import psutil
import pytest
from tramontane import memory
from tramontane.checkpoint.checkpoint import Checkpoint
from tramontane.checkpoint.load import load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.checkpoint.plan import DEFAULT_CONTEXT
from tramontane.errors import NotEnoughMemory
from tramontane.registry import Registry

from .refusal import checked, load
from .tiny_folder import CONFIG, tensors, write_folder

WEIGHTS = sum(tensor.nbytes for tensor in tensors().values())
PER_TOKEN = 2 * 2 * 8 * 4  # layers, keys and values, head, bytes


@pytest.fixture
def unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    """A checkpoint of which no weight may be read."""
    checkpoint = open_checkpoint(write_folder(tmp_path), Registry())

    def read(name: str) -> None:
        pytest.fail(f"{name} was read before the plan was made")

    monkeypatch.setattr(checkpoint, "read", read)
    return checkpoint


def refused(checkpoint: Checkpoint, **options: Any) -> str:
    with pytest.raises(NotEnoughMemory) as caught:
        load_model(checkpoint, Registry(), LoadOptions(device="reference", **options))
    return checked(caught.value)


def test_too_little_memory(unread: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free", lambda: 1_500_000)
    said = refused(unread)
    assert f"({memory.readable(WEIGHTS)} of weights" in said
    assert f"{memory.readable(64 * PER_TOKEN)} for a context of 64)" in said
    assert "1.5 MB are free on reference" in said
    assert "--num-ctx" in said
    assert "--force" in said


def test_a_context_that_is_too_long(unread: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free", lambda: 1 << 30)
    said = refused(unread, num_ctx=10**8)
    assert f"{memory.readable(10**8 * PER_TOKEN)} for a context of 100000000" in said
    assert "1.1 GB are free" in said


def test_keys_and_values_in_codes_are_counted_with_scales(
    unread: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free", lambda: 1 << 30)
    assert "--kv-type int8" in refused(unread, num_ctx=10**8)
    said = refused(unread, num_ctx=10**8, kv_type="int8")
    numbers = PER_TOKEN // 4
    scales = 2 * numbers // 8  # one for a head
    assert f"{memory.readable(10**8 * (numbers + scales))} for a context of 100000000" in said
    assert "--kv-type int4" in said
    assert "--kv-type" not in refused(unread, num_ctx=10**8, kv_type="int4")


def test_a_wider_type_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    folder = write_folder(tmp_path, dtype=torch.float16)
    monkeypatch.setattr(memory, "free", lambda: 0)
    checkpoint = open_checkpoint(folder, Registry())
    assert f"({memory.readable(WEIGHTS // 2)} of weights" in refused(checkpoint)
    assert f"({memory.readable(WEIGHTS)} of weights" in refused(checkpoint, dtype="f32")


def test_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free", lambda: 0)
    assert load(write_folder(tmp_path), force=True).context_length == 64


def test_the_context_shrinks_to_what_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(tmp_path, {**CONFIG, "max_position_embeddings": 100_000})
    overhead = WEIGHTS + max(t.nbytes for t in tensors().values()) + 512 * 24 * 4 + (64 << 20)
    monkeypatch.setattr(memory, "free", lambda: 1 << 40)
    assert load(folder).context_length == DEFAULT_CONTEXT
    monkeypatch.setattr(memory, "free", lambda: overhead + 1000 * PER_TOKEN)
    assert load(folder).context_length == 1000 // 16 * 16
    monkeypatch.setattr(memory, "free", lambda: overhead + 500 * PER_TOKEN)
    with pytest.raises(NotEnoughMemory):
        load(folder)
    assert load(folder, num_ctx=400).context_length == 400


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 KB"), (1_550_000, "1.6 MB"), (999_000_000, "999 MB"),
     (7_000_000_000, "7.0 GB"), (2_500_000_000_000, "2.5 TB"), (-1500, "-1.5 KB")],
)  # fmt: skip
def test_bytes_as_people_read_them(count: int, said: str) -> None:
    assert memory.readable(count) == said


V1 = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file", "total_active_file"
V2 = "memory.max", "memory.current", "inactive_file", "active_file"


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    monkeypatch.setattr(memory, "MEMBERSHIP", tmp_path / "membership")
    return tmp_path


def write_group(folder: Path, names: tuple[str, ...], most: object, taken: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{most}\n")
    (folder / names[1]).write_text(f"{taken}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{names[2]} 80\n{names[3]} 20\nfile 900\n")


@pytest.mark.parametrize(
    ("membership", "folder", "names"),
    [
        ("0::/", ".", V2),
        ("0::/user/run", ".", V2),  # the path on the host; here it is the root
        ("0::/user/run", "user", V2),
        ("0::/user/run", "user/run", V2),
        ("4:memory:/\n0::/", "memory", V1),
        ("4:memory:/docker/abc\n0::/", "memory", V1),
        ("5:cpu:/\n4:memory:/docker/abc", "memory/docker/abc", V1),
    ],
)
def test_a_container_has_less_than_its_machine(
    groups: Path, membership: str, folder: str, names: tuple[str, ...]
) -> None:
    (groups / "membership").write_text(membership)
    write_group(groups / folder, names, 10_000, 3_000)
    assert memory.total() == 10_000
    assert memory.free() == 7_100  # page cache can be taken back


def test_the_tightest_limit_counts(groups: Path) -> None:
    (groups / "membership").write_text("0::/a/b")
    write_group(groups / "a", V2, 5_000, 5_500)
    write_group(groups / "a" / "b", V2, 9_000, 1_000)
    assert memory.total() == 5_000
    assert memory.free() == 0


@pytest.mark.parametrize("most", ["max", 2**63 - 4096, "", "what"])
def test_no_limit(groups: Path, most: object) -> None:
    (groups / "membership").write_text("0::/\n4:memory:/")
    write_group(groups, V2, most, 1)
    write_group(groups / "memory", V1, most, 1)
    assert memory.total() == psutil.virtual_memory().total
    assert 0 < memory.free() <= memory.total()


def test_a_system_without_groups(groups: Path) -> None:
    assert memory.total() == psutil.virtual_memory().total


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives memory back")
def test_what_was_freed_goes_back_to_the_system() -> None:
    process = psutil.Process()
    held = [bytes(2000) for _ in range(50_000)]  # each its own piece of the C library's memory
    last = bytes(2000)  # above them all, so that they cannot go by themselves
    del held
    before = process.memory_info().rss
    memory.give_back()
    assert before - process.memory_info().rss > 50_000_000
    assert len(last) == 2000
