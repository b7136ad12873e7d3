"""What every checkpoint format must do, with the sample that it writes, whole and damaged."""

from __future__ import annotations

import json
import os
import random
from collections import defaultdict
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from tramontane.block_format import Recipe
from tramontane.checkpoint.checkpoint import Checkpoint, ReadsStored
from tramontane.errors import CheckpointError
from tramontane.layouts import LAYOUTS
from tramontane.plugin import Quantizer, load
from tramontane.target_call import call
from tramontane.testing.conformance import EQUAL
from tramontane.testing.recipes import weights_of


@pytest.fixture
def sample(offer: Quantizer, tmp_path: Path) -> Path:
    """A file that the format wrote."""
    assert offer.sample, "sample= must write a tiny valid file; without it nothing can be checked"
    path: Path = load(offer.sample)(tmp_path)
    assert path.exists(), f"sample= returned {path}, which is not there"
    return path


def opened(offer: Quantizer, path: Path) -> Checkpoint:
    """A container."""
    if offer.open is None:
        pytest.skip("a format of linear layers, not a container")
    checkpoint: Checkpoint = load(offer.open)(path)
    return checkpoint


def read_all(offer: Quantizer, path: Path) -> None:
    """Whatever reading a whole checkpoint touches."""
    checkpoint = opened(offer, path)
    try:
        for name in checkpoint.header.tensors:
            checkpoint.read(name).decode()
    finally:
        checkpoint.close()


def packed_layers(
    offer: Quantizer, sample: Path
) -> tuple[dict[str, Any], dict[str, dict[str, torch.Tensor]], dict[str, str]]:
    """A folder's quantization_config, the tensors of each layer that has more than a weight, by the
    names that the format gives them, and what the file has under `__metadata__`."""
    settings = json.loads((sample / "config.json").read_text("utf-8"))["quantization_config"]
    layers: dict[str, dict[str, torch.Tensor]] = defaultdict(dict)
    rename = load(offer.names) if offer.names else None
    for name, tensor in load_file(sample / "model.safetensors").items():
        path = name if rename is None else rename(name, settings)
        if path is None:  # no part of the model
            continue
        stem, below, last = path.partition(".weight.")  # of bitsandbytes, below the weight itself
        if below:
            layers[stem][f"weight.{last}"] = tensor
        else:
            stem, _, last = path.rpartition(".")
            layers[stem][last] = tensor
    packed = {stem: named for stem, named in layers.items() if set(named) - {"weight", "bias"}}
    with safe_open(sample / "model.safetensors", framework="pt") as file:
        metadata = file.metadata() or {}
    return settings, packed, metadata


def test_it_opens_a_container_or_translates_layers(offer: Quantizer) -> None:
    assert offer.open or offer.translate, "neither open= nor translate= is given"
    recognized = offer.magic or offer.files
    assert not offer.open or recognized, "magic= or files= is how a container is recognized"


def test_the_sample_is_recognized(offer: Quantizer, sample: Path) -> None:
    if offer.open:
        assert sample.read_bytes().startswith(offer.magic)
        named = any(fnmatchcase(sample.name, each) for each in offer.files)
        assert named or not offer.files, f"{sample.name} is none of {', '.join(offer.files)}"


def test_the_header_is_complete(offer: Quantizer, sample: Path) -> None:
    checkpoint = opened(offer, sample)
    header = checkpoint.header
    checkpoint.close()
    assert header.path == sample
    assert header.container == offer.name
    assert header.dialect
    assert header.architecture
    assert header.tensors
    for name, info in header.tensors.items():
        assert all(size > 0 for size in info.shape), f"{name}: {info}"
        assert info.stored, f"{name} has no type"
        assert info.nbytes > 0, f"{name} has no bytes"
    held = sum(info.nbytes for info in header.tensors.values())
    assert held <= sample.stat().st_size, f"{held} bytes of tensors in a smaller file"


def test_every_tensor_reads_as_the_header_says(offer: Quantizer, sample: Path) -> None:
    checkpoint = opened(offer, sample)
    for name, info in checkpoint.header.tensors.items():
        layout = checkpoint.read(name)
        assert isinstance(layout, LAYOUTS), f"{name} reads as {type(layout).__name__}"
        assert tuple(layout.shape) == tuple(info.shape), name
        weight = layout.decode()
        assert weight.dtype == torch.float32
        assert tuple(weight.shape) == tuple(info.shape), name
        assert weight.isfinite().all(), f"{name} is not finite"
        if len(info.shape) == 2:
            row = layout.rows(torch.tensor([info.shape[0] - 1])).decode()
            assert torch.equal(row[0], weight[-1]), f"{name}: a row alone differs"
    checkpoint.close()


def test_what_lies_in_the_file_is_what_is_read(offer: Quantizer, sample: Path) -> None:
    checkpoint = opened(offer, sample)
    if not isinstance(checkpoint, ReadsStored):
        pytest.skip("it does not read matrices in the file's own layout")
    for name in checkpoint.header.tensors:
        stored = checkpoint.stored(name)
        if stored is None:
            continue
        weight, recipe = checkpoint.read(name).decode(), stored.recipe
        assert stored.shape == tuple(weight.shape), name
        assert len(stored.raw) == stored.shape[0] * stored.row_bytes, name
        raw = stored.raw[0 : len(stored.raw)].copy()
        assert torch.equal(stored.decode(), weight), name
        if stored.file is not None and hasattr(os, "pread"):
            assert os.pread(stored.file[0], len(raw), stored.file[1]) == raw.tobytes(), name
        if isinstance(recipe, Recipe):
            blocks = weight.numpy().reshape(-1, recipe.count)
            for index in {0, len(blocks) // 2, len(blocks) - 1}:
                block = raw[index * recipe.size : (index + 1) * recipe.size]
                assert (weights_of(recipe, block) == blocks[index]).all(), f"{name}: its recipe"
    checkpoint.close()


def test_layers_translate(offer: Quantizer, sample: Path) -> None:
    if offer.translate is None:
        pytest.skip("a container, not a format of linear layers")
    settings, packed, metadata = packed_layers(offer, sample)
    assert settings["quant_method"] in (offer.name, *offer.aliases)
    assert packed, "the sample has no packed layer: all of them are plain weights"
    for stem, named in packed.items():
        more = {"path": stem, "metadata": metadata}
        layout = call(load(offer.translate), {"tensors": named, "config": settings}, **more)
        assert isinstance(layout, LAYOUTS), f"{stem} is {type(layout).__name__}"
        assert tuple(layout.decode().shape) == tuple(layout.shape), stem
        assert layout.decode().isfinite().all(), f"{stem} is not finite"
        for missing in named:
            rest = {k: v for k, v in named.items() if k != missing}
            with pytest.raises(CheckpointError):
                call(load(offer.translate), {"tensors": rest, "config": settings}, **more)


def test_weights_are_those_of_the_plain_decoder(
    offer: Quantizer, sample: Path, record_property: Callable[[str, object], None]
) -> None:
    if offer.decode is None:
        pytest.skip(
            f"NOT PROVEN: that {offer.name} reads the right numbers; give decode=, a plain decoder "
            "that shares no code with the translation"
        )
    record_property(EQUAL, offer.name)
    decode, compared = load(offer.decode), 0
    if offer.open is not None:
        expected = decode(sample)
        checkpoint = opened(offer, sample)
        names = set(checkpoint.header.tensors)
        assert set(expected) == names, f"decode gives other tensors: {set(expected) ^ names}"
        for name, weight in expected.items():
            same_weights(checkpoint.read(name).decode(), weight, name)
            compared += 1
        checkpoint.close()
    else:
        assert offer.translate is not None
        settings, layers, metadata = packed_layers(offer, sample)
        for path, named in layers.items():
            given = {"tensors": dict(named), "config": settings}
            more = {"path": path, "metadata": metadata}
            layout = call(load(offer.translate), given, **more)
            same_weights(layout.decode(), call(decode, given, **more), path)
            compared += 1
    assert compared, "the sample has nothing to compare"


def same_weights(found: torch.Tensor, expected: torch.Tensor, name: str) -> None:
    """Equal but for the order in which float32 numbers are multiplied and added."""
    expected = torch.as_tensor(expected)
    assert expected.dtype == torch.float32, f"{name}: decode gives {expected.dtype}"
    assert found.shape == expected.shape, f"{name}: decode gives {tuple(expected.shape)}"
    apart = (found - expected).abs()
    allowed = 1e-6 * expected.abs().max()
    if not bool((apart <= allowed).all()):
        place = tuple(int(i) for i in np.unravel_index(int(apart.argmax()), found.shape))
        wrong = int((apart > allowed).sum())
        raise AssertionError(
            f"{name}{list(place)} reads as {float(found[place]):.6g}, and decode says "
            f"{float(expected[place]):.6g}; {wrong} of {apart.numel()} differ"
        )


def test_a_truncated_file_is_a_checkpoint_error(
    offer: Quantizer, sample: Path, tmp_path: Path
) -> None:
    if not offer.open:
        pytest.skip("a format of linear layers, not a container")
    data = sample.read_bytes()
    for place in range(20):
        cut = tmp_path / f"cut-{place}{sample.suffix}"
        cut.write_bytes(data[: len(data) * place // 20])
        with pytest.raises(CheckpointError) as caught:
            read_all(offer, cut)
        assert str(cut) in str(caught.value), f"{caught.value} does not name the file"


def test_a_damaged_header_never_raises_anything_else(
    offer: Quantizer, sample: Path, tmp_path: Path
) -> None:
    if not offer.open:
        pytest.skip("a format of linear layers, not a container")
    data = sample.read_bytes()
    rng = random.Random(0)
    damaged = tmp_path / f"damaged{sample.suffix}"
    for _ in range(60):
        changed = bytearray(data)
        for _ in range(rng.randint(1, 3)):
            changed[rng.randrange(min(len(data), 2048))] = rng.choice((0, 1, 127, 128, 255))
        damaged.write_bytes(changed)
        try:
            read_all(offer, damaged)
        except CheckpointError:
            continue
