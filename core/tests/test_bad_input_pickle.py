"""A .bin or .pth file is data: what it asks to be run is not run, and what is damaged is told."""

from __future__ import annotations

import os
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tramontane.errors import CheckpointError

from .refusal import refusal
from .tiny_folder import CONFIG, tensors, write_folder


class Payload:
    """Pickled as a call: makes a file when it is unpickled by whoever runs what he reads."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.call = call, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("how", ["os.system", "eval", "pathlib", "inside a dict", "plain pickle"])
@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pth"])
def test_code_is_not_run(tmp_path: Path, how: str, name: str) -> None:
    trace = tmp_path / "trace"
    payloads = {
        "os.system": Payload(os.system, f"touch {trace}"),
        "eval": Payload(eval, f"__import__('pathlib').Path({str(trace)!r}).touch()"),
        "pathlib": Payload(Path.touch, trace),
        "inside a dict": {**tensors(), "x": Payload(os.system, f"touch {trace}")},
        "plain pickle": Payload(os.system, f"touch {trace}"),
    }
    write_folder(tmp_path, name=name)
    if how == "plain pickle":
        (tmp_path / name).write_bytes(pickle.dumps(payloads[how]))
    else:
        torch.save(payloads[how], tmp_path / name)
    said = refusal(tmp_path, CheckpointError)
    assert not trace.exists()
    assert name in said
    assert "code from a checkpoint is never run" in said
    assert "safetensors" in said
    # the payload does work on whoever trusts it, or the test would show nothing
    if how in ("os.system", "eval"):
        torch.load(tmp_path / name, weights_only=False)
        assert trace.exists()


class OfALibrary(torch.Tensor):
    """A tensor as libraries of quantization pickled them: by a class of their own."""


def test_a_class_of_a_library_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path, name="pytorch_model.bin")
    weight = torch.ones(4, 4).as_subclass(OfALibrary)  # type: ignore[no-untyped-call]
    torch.save({**tensors(), "x": weight}, tmp_path / "pytorch_model.bin")
    said = refusal(tmp_path, CheckpointError)
    assert f"asks for {OfALibrary.__module__}.OfALibrary, or is damaged" in said
    assert "with the library that made it" in said


@pytest.mark.parametrize(
    "value",
    [[torch.ones(2)], torch.ones(2), {"a": 5}, {5: torch.ones(2)}, {"model": tensors()}, None,
     {"a": torch.ones(4, 4).to_sparse()}],
    ids=["list", "tensor", "number", "number as name", "nested", "nothing", "sparse"],
)  # fmt: skip
def test_not_a_dict_of_tensors(tmp_path: Path, value: Any) -> None:
    write_folder(tmp_path, name="pytorch_model.bin")
    torch.save(value, tmp_path / "pytorch_model.bin")
    said = refusal(tmp_path, CheckpointError)
    assert "must hold a dict of dense tensors by name" in said


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])
def test_cut_anywhere(tmp_path: Path, zipped: bool) -> None:
    write_folder(tmp_path, name="pytorch_model.bin", zipped=zipped)
    path = tmp_path / "pytorch_model.bin"
    whole = path.read_bytes()
    draw = random.Random(3)
    for length in [0, 1, 4, 100, len(whole) - 1, *draw.sample(range(len(whole)), 40)]:
        path.write_bytes(whole[:length])
        assert "pytorch_model.bin" in refusal(tmp_path, CheckpointError)


@pytest.mark.parametrize(
    "junk", [b"", b"<html>", b"PK\3\4" + b"\0" * 100, b"\x80\x02.", b"\0" * 99]
)
def test_other_files_under_the_name(tmp_path: Path, junk: bytes) -> None:
    write_folder(tmp_path, name="pytorch_model.bin")
    (tmp_path / "pytorch_model.bin").write_bytes(junk)
    assert "pytorch_model.bin" in refusal(tmp_path, CheckpointError)


def test_a_tensor_that_claims_more_than_there_is(tmp_path: Path) -> None:
    """One number seen as many: small on disk, and as large as it says when it is used."""
    write_folder(tmp_path, CONFIG, name="pytorch_model.bin")
    wide = torch.zeros(1).expand(2**20, 2**20)
    torch.save({**tensors(), "lm_head.weight": wide}, tmp_path / "pytorch_model.bin")
    assert "wrong shapes: lm_head.weight" in refusal(tmp_path, CheckpointError)
