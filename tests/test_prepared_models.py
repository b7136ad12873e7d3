"""Prepared models: a start from one computes the same bits, and one that cannot be trusted is never
used."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from gguf import GGMLQuantizationType as Type
from torch import Tensor
from tramontane.checkpoint.load import Loaded, load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.prepared import array_file, shelf
from tramontane.prepared.array_file import PREAMBLE, ArrayFile, Damaged
from tramontane.registry import Registry
from tramontane.testing.forward_passes import in_pieces, whole

from .formats.models import source
from .formats.record import Variant
from .formats.table import FORMATS, covering
from .parity import gguf_file

ROOT = Path(__file__).parents[1]
TOKENS = [3, 1, 4, 1, 5, 9, 2, 6, 5, 35, 8]
STEPS = [6, 3, 1, 1]
PLAIN = ("F32", "F16", "BF16")
FEW = [each for each in covering() if not each[1].eager and each[1].row not in PLAIN][::9]
GGUF = [("llama", "Q8_0"), ("deepseek-v2", "Q4_K"), ("qwen3-next", "Q6_K"), ("gpt2", "Q4_0"),
        ("gpt-oss", "MXFP4"), ("qwen3-moe", "IQ3_S")]  # fmt: skip


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tiny models are kept, too. Kernels stay where they are."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(_kernels()))
    monkeypatch.setenv("TRAMONTANE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(shelf, "LEAST", 0)
    monkeypatch.setattr(shelf, "PACKED", 1 << 60)
    monkeypatch.setattr(shelf, "RESERVE", 0)
    return tmp_path / "cache" / "prepared"


def _kernels() -> Path:
    from tramontane_backend_cpu.cpu_features import base

    return base()


def loaded(path: Path, **options: object) -> Loaded:
    registry = Registry()
    given = LoadOptions(**{"device": "cpu", "threads": 1, "num_ctx": 64, **options})  # type: ignore[arg-type]
    return load_model(open_checkpoint(path, registry), registry, given)


def bits(model: Loaded) -> list[Tensor]:
    parts = [whole(model.model, TOKENS), in_pieces(model.model, TOKENS, STEPS, stepped=True)]
    return [*parts, model.sample]


def same_after_a_start(path: Path) -> None:
    first = loaded(path)
    assert not first.report.prepared
    assert first.unsaved is not None
    assert first.unsaved.save()
    again = loaded(path)
    assert again.report.prepared
    assert again.unsaved is None
    assert again.report.layouts == first.report.layouts
    assert again.report.kernels == first.report.kernels
    for mine, theirs in zip(bits(again), bits(first), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize(
    ("name", "variant", "family"), FEW, ids=[f"{n}: {v.name}: {f}" for n, v, f in FEW]
)
def test_the_same_bits_of_every_format(
    name: str, variant: Variant, family: str, tmp_path: Path
) -> None:
    target = tmp_path / "model"
    target.mkdir()
    same_after_a_start(variant.write(source(family, FORMATS[name].sizes), target).path)


@pytest.mark.parametrize(("family", "kind"), GGUF)
def test_the_same_bits_of_every_family(family: str, kind: str, tmp_path: Path) -> None:
    gguf_file.pair(family, Type[kind], tmp_path / "model.gguf")
    same_after_a_start(tmp_path / "model.gguf")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    gguf_file.pair("llama", Type["Q4_K"], tmp_path / "model.gguf")
    return tmp_path / "model.gguf"


@pytest.fixture
def kept(model: Path) -> Path:
    """The prepared model of `model`."""
    unsaved = loaded(model).unsaved
    assert unsaved is not None
    assert unsaved.save()
    return unsaved.place.path


def flipped(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut in the arrays": lambda path: os.truncate(path, 5000),
    "cut in the description": lambda path: os.truncate(path, path.stat().st_size - 1),
    "too long": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "another magic": lambda path: flipped(path, 0),
    "another start": lambda path: flipped(path, 12),
    "another digest": lambda path: flipped(path, PREAMBLE.size - 1),
    "a page of arrays": lambda path: flipped(path, 4096),
    "the description": lambda path: flipped(path, path.stat().st_size - 9),
    "never finished": lambda path: path.write_bytes(bytes(4096) + path.read_bytes()[4096:]),
    "something else": lambda path: path.write_bytes(b"GGUF" * 4096),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_one_is_removed_and_made_again(damage: str, model: Path, kept: Path) -> None:
    right = bits(loaded(model))
    DAMAGE[damage](kept)
    again = loaded(model)
    assert not again.report.prepared
    assert not kept.exists()
    assert all(map(torch.equal, bits(again), right))
    assert again.unsaved is not None
    assert again.unsaved.save()
    assert loaded(model).report.prepared


def test_one_of_another_machine_or_version_is_not_used(
    model: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tramontane_backend_cpu import kept_layouts

    here = kept_layouts.KeptLayouts.order()
    monkeypatch.setattr(kept_layouts.KeptLayouts, "order", staticmethod(lambda: "arm64-neon"))
    other = loaded(model)
    assert not other.report.prepared
    assert other.unsaved is not None
    # even if it has the name of ours
    kept.rename(other.unsaved.place.path)
    assert not loaded(model).report.prepared
    assert not other.unsaved.place.path.exists()
    assert other.unsaved.save()
    assert ArrayFile(other.unsaved.place.path).key["order"] == "arm64-neon" != here


def test_a_file_that_was_replaced_is_another(model: Path, kept: Path, tmp_path: Path) -> None:
    status = model.stat()
    data = bytearray(model.read_bytes())
    data[-1] ^= 1  # of the last matrix
    model.write_bytes(data)
    os.utime(model, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert not loaded(model).report.prepared
    data[-1] ^= 1
    model.write_bytes(data)
    os.utime(model, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert loaded(model).report.prepared
    os.utime(model)
    assert not loaded(model).report.prepared
    assert kept.exists()


@pytest.mark.parametrize(
    "options",
    [
        {"mmap": False},
        {"dtype": "f32"},
        {"activations": "f32"},
        {"overrides": {"rope_theta": 5e5}},
        {"device": "reference"},
    ],
)
def test_other_options_have_others(options: dict[str, object], model: Path, kept: Path) -> None:
    assert not loaded(model, **options).report.prepared
    assert loaded(model).report.prepared
    assert kept.exists()


def test_off_means_neither_written_nor_read(
    model: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(shelf.SETTING, "off")
    off = loaded(model)
    assert not off.report.prepared
    assert off.unsaved is None
    monkeypatch.delenv(shelf.SETTING)
    shelf.change(on=False)
    assert loaded(model).unsaved is None
    shelf.change(on=True)
    assert loaded(model).report.prepared


def test_what_others_may_write_is_not_trusted(model: Path, kept: Path) -> None:
    kept.chmod(0o666)
    with pytest.raises(Damaged, match="others may write it"):
        ArrayFile(kept)
    assert not loaded(model).report.prepared
    unsaved = loaded(model).unsaved
    assert unsaved is not None
    assert unsaved.save()
    kept.parent.chmod(0o777)
    assert not loaded(model).report.prepared
    assert not unsaved.save() or loaded(model).unsaved is not None
    assert kept.stat().st_mode & 0o777 == 0o600


def test_links_are_not_followed(model: Path, kept: Path, tmp_path: Path) -> None:
    kept.rename(tmp_path / "elsewhere")
    kept.symlink_to(tmp_path / "elsewhere")
    assert not loaded(model).report.prepared


@pytest.mark.parametrize("at", [0, 1, 3])
def test_a_full_disk_leaves_nothing_behind(
    at: int, model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(array_file, "AT_ONCE", 8192)
    unsaved = loaded(model).unsaved
    assert unsaved is not None
    calls = []

    def between(written: int) -> bool:
        calls.append(written)
        if len(calls) > at:
            raise OSError(28, "No space left on device")
        return True

    assert not unsaved.save(between)
    assert not list(cache.iterdir())
    assert unsaved.save()


def test_a_limit_of_file_sizes_leaves_nothing_behind(model: Path, cache: Path) -> None:
    resource = pytest.importorskip("resource", reason="this system has no such limits")
    import signal

    unsaved = loaded(model).unsaved
    assert unsaved is not None
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20000, before[1]))
    try:
        assert not unsaved.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert not list(cache.iterdir())


def test_a_folder_that_cannot_be_made_changes_nothing(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("TRAMONTANE_CACHE", str(tmp_path / "file"))
    unsaved = loaded(model).unsaved
    assert unsaved is not None
    assert not unsaved.save()


def test_two_that_write_at_once(model: Path, cache: Path) -> None:
    both = [loaded(model).unsaved for _ in range(2)]
    gate = threading.Barrier(2, timeout=60)
    waited: list[bool] = []

    def between(written: int) -> bool:
        if threading.current_thread().name not in waited:
            waited.append(threading.current_thread().name)  # type: ignore[arg-type]
            gate.wait()
        return True

    saved: list[bool] = []
    threads = [threading.Thread(target=lambda u=u: saved.append(u.save(between))) for u in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert saved == [True, True]
    assert len(list(cache.iterdir())) == 1
    assert loaded(model).report.prepared


def test_what_is_stopped_is_removed(model: Path, cache: Path) -> None:
    unsaved = loaded(model).unsaved
    assert unsaved is not None
    assert not unsaved.save(lambda written: False)
    assert not list(cache.iterdir())


def test_weights_as_the_file_has_them_are_not_kept_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gguf_file.pair("llama", Type["BF16"], tmp_path / "model.gguf")
    monkeypatch.setattr(shelf, "PACKED", 2)
    assert loaded(tmp_path / "model.gguf").unsaved is None


CODE = """\
import sys
from tramontane.prepared import array_file, shelf
shelf.LEAST, shelf.PACKED, shelf.RESERVE = 0, 1 << 60, 0
from tramontane.system import torch_parts
from tramontane.cli.main import main
status = main(["run", *sys.argv[1:], "--no-template", "-n", "4", "-i", "x", "-t", "1"])
print(status, torch_parts.is_left_out())
"""


def started(*arguments: str) -> tuple[str, bool]:
    """What a process of `tramontane run` prints, and whether a part of torch was left out."""
    command = [sys.executable, "-c", CODE, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    *text, last = done.stdout.splitlines()
    assert last.startswith("0 "), done.stderr
    assert "error" not in done.stderr
    return "\n".join(text), last == "0 True"


@pytest.fixture
def whole_model(tmp_path: Path) -> Path:
    """A model with a tokenizer."""
    embedded = ROOT / "plugins/embedded/src/tramontane_plugin_embedded/model.gguf"
    return Path(shutil.copy(embedded, tmp_path))


def test_a_process_keeps_what_the_next_one_maps(whole_model: Path, cache: Path) -> None:
    first, second = started("-m", str(whole_model)), started("-m", str(whole_model))
    assert first == (second[0], False)
    assert second[1], "a prepared model does without a part of torch"
    assert [path.suffix for path in cache.iterdir()] == [".model"]
    assert cache.stat().st_mode & 0o777 == 0o700
    # damage is met before the whole of torch is there
    (only,) = cache.iterdir()
    flipped(only, 4096)
    assert started("-m", str(whole_model)) == (first[0], False)
    assert started("-m", str(whole_model)) == second
    # other options have no use for it, nor for a torch without some of it
    assert started("-m", str(whole_model), "--no-mmap") == (first[0], False)
