"""`tramontane quantize` and `imatrix`, with the quantizers of docs/writing-a-quantizer.md."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tramontane.checkpoint.open import open_checkpoint
from tramontane.quantizing import write_folder as module
from tramontane.quantizing.importance import read_importance
from tramontane.quantizing.partial import Partial
from tramontane.registry import Registry
from tramontane.testing.forward_passes import whole

from .conftest import Cli, Install
from .strangers.page import write_page
from .test_isq import KIND, loaded, weights
from .test_quantized_layers import others
from .tiny import write_model

TEXT = "The quick brown fox jumps over the lazy dog. " * 30


@pytest.fixture(scope="module")
def installed(install: Install, tmp_path_factory: pytest.TempPathFactory) -> Path:
    page = tmp_path_factory.mktemp("page")
    write_page("writing-a-quantizer", page)
    return install(page / "mlx", page)


@pytest.fixture(autouse=True)
def visible(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This repository's own formats are not: a number of bits would choose their kinds."""
    monkeypatch.syspath_prepend(str(installed))
    monkeypatch.setenv("TRAMONTANE_PLUGINS", ",".join(others()))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    write_model(folder, hidden_size=128, intermediate_size=192, dtype=torch.bfloat16)
    (folder / "generation_config.json").write_text('{"temperature": 0.5}')
    return folder


def test_a_folder_is_what_quantizing_in_place_makes(model: Path, tmp_path: Path, run: Cli) -> None:
    status, out, err = run("quantize", model, tmp_path / "out", "--to", "4")
    assert status == 0, err
    assert f"quantized to 4: 2 x acme_mlx6, 14 x {KIND}, 192 KB" in out
    there, made = weights(loaded(tmp_path / "out")), weights(loaded(model, isq=4))
    assert there.keys() == made.keys()
    for path, weight in made.items():
        assert torch.equal(there[path].decode(), weight.decode()), path
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
        "tokenizer_config.json",
    }  # fmt: skip
    assert [file.name for file in tmp_path.iterdir()] == ["out"]
    status, out, err = run("run", tmp_path / "out", "-i", "a", "-n", "2", "--device", "reference")
    assert status == 0, err


def test_many_bytes_make_shards_with_an_index(
    model: Path, tmp_path: Path, run: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = module.write_folder
    monkeypatch.setattr(
        "tramontane.quantizing.convert.write_folder", lambda *given: write(*given, shard=50_000)
    )
    status, _, err = run("quantize", model, tmp_path / "out", "--to", "4")
    assert status == 0, err
    files = sorted((tmp_path / "out").glob("*.safetensors"))
    assert len(files) > 3
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == sum(
        tensor.nbytes for file in files for tensor in load_file(file).values()
    )
    for name, file in index["weight_map"].items():
        with safe_open(tmp_path / "out" / file, "pt") as shard:
            assert name in shard.keys()  # noqa: SIM118 - safe_open is no mapping
    assert weights(loaded(tmp_path / "out"))["lm_head"].bits == 6


def test_a_container_writes_its_own_files(model: Path, tmp_path: Path, run: Cli) -> None:
    out = tmp_path / "out.acme8"
    status, _, err = run("quantize", model, out, "--to", "acme8")
    assert status == 0, err
    found, made = weights(loaded(out)), weights(loaded(model, isq="acme8"))
    for path in ("lm_head", "model.layers.0.self_attn.q_proj"):
        assert torch.equal(found[path].decode(), made[path].decode())
    status, _, err = run("quantize", model, tmp_path / "mixed.acme8", "--to", "acme8_m")
    assert (status, "acme8_m is not acme8" in err) == (2, True)
    assert not (tmp_path / "mixed.acme8").exists()


def test_what_is_there_stays_unless_forced(model: Path, tmp_path: Path, run: Cli) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    status, _, err = run("quantize", model, tmp_path / "out", "--to", "4")
    assert (status, "is there already; --force replaces it" in err) == (1, True)
    status, _, err = run("quantize", model, tmp_path / "out", "--to", "4", "--force")
    assert (status, "is a folder, and no model's" in err) == (1, True)
    assert (tmp_path / "out" / "mine.txt").exists()
    (tmp_path / "out" / "config.json").write_text("{}")
    assert run("quantize", model, tmp_path / "out", "--to", "4", "--force")[0] == 0
    assert not (tmp_path / "out" / "mine.txt").exists()
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_a_model_is_never_written_over_itself(model: Path, tmp_path: Path, run: Cli) -> None:
    own = shutil.copytree(model, tmp_path / "models" / "own")
    (tmp_path / "link").symlink_to(own)
    before = (own / "model.safetensors").read_bytes()
    for out in (own, tmp_path / "models", tmp_path / "link"):
        status, _, err = run("quantize", own, out, "--to", "4", "--force")
        assert (status, "is the model that is read, or holds it" in err) == (1, True)
    assert (own / "model.safetensors").read_bytes() == before


def test_nothing_is_left_of_a_failure(
    model: Path, tmp_path: Path, run: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.ShardWriter, "add", full)
    status, _, err = run("quantize", model, tmp_path / "out", "--to", "4")
    assert (status, "No space left on device" in err) == (1, True)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each tensor is, and not only those that many bytes lie behind."""
    monkeypatch.setattr("tramontane.quantizing.partial.EVERY", 1)


def stopped(
    monkeypatch: pytest.MonkeyPatch, after: int, error: BaseException
) -> Callable[[], None]:
    """The writing of a folder ends after some tensors; what is returned lets it work again."""
    add, count = module.ShardWriter.add, 0

    def few(self: Any, name: str, tensor: torch.Tensor) -> None:
        nonlocal count
        count += 1
        if count > after:
            raise error
        add(self, name, tensor)

    monkeypatch.setattr(module.ShardWriter, "add", few)
    return lambda: monkeypatch.setattr(module.ShardWriter, "add", add)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


@pytest.mark.parametrize("shard", [30_000, 5_000_000_000])
@pytest.mark.parametrize("after", [5, 20])
def test_an_interrupted_run_goes_on(
    model: Path, tmp_path: Path, run: Cli, monkeypatch: pytest.MonkeyPatch, recorded: None,
    after: int, shard: int,
) -> None:  # fmt: skip
    write = module.write_folder
    monkeypatch.setattr(
        "tramontane.quantizing.convert.write_folder", lambda *given: write(*given, shard=shard)
    )
    assert run("quantize", model, tmp_path / "whole", "--to", "4")[0] == 0
    go_on = stopped(monkeypatch, after, OSError(28, "No space left on device"))
    status, _, err = run("quantize", model, tmp_path / "out", "--to", "4")
    assert (status, "the same command goes on from there" in err) == (1, True), err
    assert {file.name for file in tmp_path.iterdir()} == {"whole", "out.part", "out.part.json"}
    go_on()
    status, out, err = run("quantize", model, tmp_path / "out", "--to", "4")
    assert status == 0, err
    assert re.search("went on after [1-9][0-9]* tensors", out)
    assert {file.name for file in tmp_path.iterdir()} == {"whole", "out"}
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")


def interrupted(model: Path, out: Path, run: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = stopped(monkeypatch, 9, OSError(28, "No space left on device"))
    assert run("quantize", model, out, "--to", "4")[0] == 1
    go_on()
    assert out.with_name("out.part").exists()


def test_a_changed_source_begins_anew(
    model: Path, tmp_path: Path, run: Cli, monkeypatch: pytest.MonkeyPatch, recorded: None
) -> None:
    own = shutil.copytree(model, tmp_path / "own")
    interrupted(own, tmp_path / "out", run, monkeypatch)
    tensors = load_file(own / "model.safetensors")
    tensors["model.norm.weight"] = tensors["model.norm.weight"] * 2
    save_file(tensors, own / "model.safetensors", {"format": "pt"})
    status, out, err = run("quantize", own, tmp_path / "out", "--to", "4")
    assert (status, "started over: the source or what was asked is another" in out) == (0, True), (
        err
    )
    made = load_file(tmp_path / "out" / "model.safetensors")
    assert torch.equal(made["model.norm.weight"], tensors["model.norm.weight"])


@pytest.mark.parametrize("damage", ["kind", "shard", "record"])
def test_what_cannot_be_used_is_written_anew(
    model: Path, tmp_path: Path, run: Cli, monkeypatch: pytest.MonkeyPatch, recorded: None,
    damage: str,
) -> None:  # fmt: skip
    interrupted(model, tmp_path / "out", run, monkeypatch)
    kind = "8" if damage == "kind" else "4"
    if damage == "shard":
        (tmp_path / "out.part" / "part-0").write_bytes(b"")
    elif damage == "record":
        (tmp_path / "out.part.json").write_bytes(b'{"identity": ')
    status, out, err = run("quantize", model, tmp_path / "out", "--to", kind)
    assert (status, "started over" in out) == (0, True), err
    assert run("quantize", model, tmp_path / "whole", "--to", kind)[0] == 0
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")


def test_two_processes_do_not_write_the_same(model: Path, tmp_path: Path, run: Cli) -> None:
    held = Partial(tmp_path / "out", "x")
    status, _, err = run("quantize", model, tmp_path / "out", "--to", "4")
    assert (status, "another process is writing" in err) == (1, True)
    held.close(keep=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("out",), 2, "--to is missing"),
        (("out", "--to", "9"), 1, "acme_mlx3, acme_mlx4, acme_mlx6, acme_mlx8"),
        (("out", "--to", "acme8"), 2, "acme8: a folder cannot have this kind; acme8 files have it"),
    ],
)
def test_what_cannot_be_is_told(
    model: Path, tmp_path: Path, run: Cli, arguments: tuple[str, ...], status: int, said: str
) -> None:
    first, *rest = arguments
    found, _, err = run("quantize", model, tmp_path / first, *rest)
    assert (found, said in err) == (status, True), err


def test_importances_are_mean_squares_of_inputs(
    model: Path, tmp_path: Path, run: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    file = tmp_path / "importances.safetensors"
    status, out, err = run("imatrix", model, "--text", tmp_path / "text.txt", "-o", file)
    assert status == 0, err
    assert out == f"{file}: 15 matrices\n"
    found = read_importance(file, Registry())
    plain = loaded(model)
    seen: list[torch.Tensor] = []
    for path in ("model.layers.1.mlp.up_proj", "lm_head"):
        hooked = plain.model.get_submodule(path)
        hooked.register_forward_pre_hook(lambda _, given: seen.append(given[0].square().mean(0)))
        assert found[path].shape == (128,)
    tokenizer = open_checkpoint(model, Registry()).tokenizer()
    monkeypatch.setattr("tramontane.quantizing.calibrate.WINDOW", 32)
    whole(plain.model, tokenizer.encode(TEXT)[:32])
    (tmp_path / "text.txt").write_text(TEXT[:32])
    assert run("imatrix", model, "--text", tmp_path / "text.txt", "-o", file)[0] == 0
    found = read_importance(file, Registry())
    for path, means in zip(("model.layers.1.mlp.up_proj", "lm_head"), seen, strict=True):
        assert torch.allclose(found[path], means, rtol=1e-4)


def test_importances_reach_the_quantizer(
    model: Path, tmp_path: Path, run: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    import acme_mlx.encode as made  # type: ignore[import-not-found]

    before, given = made.encode, []

    def encode(weight: Any, kind: str, importance: Any = None) -> Any:
        given.append(importance)
        return before(weight, kind)

    monkeypatch.setattr(made, "encode", encode)
    (tmp_path / "text.txt").write_text(TEXT)
    calibrated = ("--device", "reference", "--calibration-file", tmp_path / "text.txt")
    status, _, err = run("run", model, "-i", "a", "-n", "1", "--isq", "4", *calibrated)
    assert status == 0, err
    assert sum(each is not None for each in given) == 15
    given.clear()
    file = tmp_path / "i.safetensors"
    run("imatrix", model, "--text", tmp_path / "text.txt", "-o", file)
    status, _, err = run("quantize", model, tmp_path / "out", "--to", "4", "--imatrix", file)
    assert status == 0, err
    assert sum(each is not None for each in given) == 15


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot read"),
        (b"words", "is not a file of `tramontane imatrix`"),
        ({"x": torch.ones(4)}, "holds no importances"),
    ],
)
def test_a_wrong_file_of_importances_is_refused(
    model: Path, tmp_path: Path, run: Cli, content: Any, said: str
) -> None:
    file = tmp_path / "importances"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        save_file(content, file)
    status, _, err = run("run", model, "-i", "a", "--isq", "4", "--imatrix", file)
    assert (status, said in err) == (1, True), err


def test_importances_without_quantizing_are_a_mistake(model: Path, run: Cli) -> None:
    for option in ("--imatrix", "--calibration-file"):
        status, _, err = run("run", model, "-i", "a", option, "x")
        assert (status, "give --isq too" in err) == (2, True), err
