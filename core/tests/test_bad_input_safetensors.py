"""A safetensors file that is cut, lies or overlaps is refused before a weight is used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tramontane.errors import CheckpointError

from .refusal import refusal
from .tiny_folder import tensors, write_folder


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    return (write_folder(tmp_path) / "model.safetensors").read_bytes()


def split(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The header, and what follows it."""
    end = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:end]), data[end:]


def joined(header: Any, body: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def refused(folder: Path, data: bytes) -> str:
    (folder / "model.safetensors").write_bytes(data)
    said = refusal(folder, CheckpointError)
    assert str(folder) in said
    return said


def test_cut_anywhere_in_the_header(tmp_path: Path, whole: bytes) -> None:
    end = 8 + int.from_bytes(whole[:8], "little")
    for length in range(end + 1):
        said = refused(tmp_path, whole[:length])
        assert "is not a whole safetensors file" in said
        assert "download it again" in said
        assert "deserializing" not in said


def test_cut_anywhere_in_the_data(tmp_path: Path, whole: bytes) -> None:
    start = 8 + int.from_bytes(whole[:8], "little")
    ends = {start + entry["data_offsets"][1] for name, entry in split(whole)[0].items()
            if name != "__metadata__"}  # fmt: skip
    places = {place for end in ends for place in (end - 1, end, end + 1)} - {len(whole)}
    for length in sorted({*places, *range(start, len(whole), 997)}):
        if length > len(whole):
            continue
        assert "is not a whole safetensors file" in refused(tmp_path, whole[:length])


def test_longer_than_its_header_says(tmp_path: Path, whole: bytes) -> None:
    assert "is not a whole safetensors file" in refused(tmp_path, whole + b"\0")


@pytest.mark.parametrize("length", [0, 1, 2**31, 2**40, 2**60, 2**63, 2**64 - 1])
def test_header_lengths(tmp_path: Path, whole: bytes, length: int) -> None:
    refused(tmp_path, length.to_bytes(8, "little") + whole[8:])


HEAD = "lm_head.weight"


@pytest.mark.parametrize(
    "change",
    [
        {"data_offsets": [0, 2**40]}, {"data_offsets": [2**60, 2**60 + 1536]},
        {"data_offsets": [1536, 0]}, {"data_offsets": [-1, 1535]}, {"data_offsets": [0]},
        {"data_offsets": "all"}, {"data_offsets": [0.5, 1536]}, {"data_offsets": [2**70, 2**70]},
        {"dtype": "F33"}, {"dtype": ""}, {"dtype": 5}, {"dtype": "f32"}, {"dtype": "F64"},
        {"shape": [2**40, 2**40]}, {"shape": [2**63, 2]}, {"shape": [-24, -16]},
        {"shape": "24x16"}, {"shape": [24, 17]}, {"shape": []}, {"shape": [0, 16]},
        {"shape": None}, {"shape": [24.5, 1]},
    ],
    ids=str,
)  # fmt: skip
def test_entries_that_lie(tmp_path: Path, whole: bytes, change: dict[str, Any]) -> None:
    header, body = split(whole)
    refused(tmp_path, joined({**header, HEAD: {**header[HEAD], **change}}, body))


def test_tensors_that_overlap(tmp_path: Path, whole: bytes) -> None:
    header, body = split(whole)
    other = {**header[HEAD], "data_offsets": header["model.embed_tokens.weight"]["data_offsets"]}
    assert "not a whole safetensors" in refused(tmp_path, joined({**header, HEAD: other}, body))


def test_a_name_that_is_there_twice(tmp_path: Path, whole: bytes) -> None:
    header, body = split(whole)
    twice = json.dumps({"twin": header[HEAD]})[1:-1].replace("twin", HEAD)
    text = json.dumps(header)[:-1] + ", " + twice + "}"
    (tmp_path / "model.safetensors").write_bytes(joined(text.encode(), body))
    # the same entry again says nothing else; another place for it leaves a hole
    moved = text.replace(twice, twice.replace(str(header[HEAD]["data_offsets"][1]), "9"))
    assert moved != text
    refused(tmp_path, joined(moved.encode(), body))


@pytest.mark.parametrize(
    "header",
    [b"", b"{", b"[]", b"null", b"5", b'{"a": 5}', b'{"a": {}}', b"\xff\xff", b"[" * 10_000,
     b'{"__metadata__": 5}', b'{"__metadata__": {"a": 5}}', b"{}" + b" " * 8 + b"{}"],
    ids=range(12),
)  # fmt: skip
def test_headers_that_are_none(tmp_path: Path, whole: bytes, header: bytes) -> None:
    refused(tmp_path, joined(header, split(whole)[1]))


def test_a_file_without_tensors(tmp_path: Path, whole: bytes) -> None:
    said = refused(tmp_path, joined({}, b""))
    assert "does not fit LlamaForCausalLM; missing: " in said


@pytest.mark.parametrize(
    "junk", [b"<!DOCTYPE html><html>Not found</html>", b"\0" * 4096, b"PK\3\4"]
)
def test_other_files_under_the_name(tmp_path: Path, whole: bytes, junk: bytes) -> None:
    assert "is not a whole safetensors file" in refused(tmp_path, junk)


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path, shards=3, indexed=True)
    path = tmp_path / "model-00002-of-00003.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    assert f"{path} is not a whole safetensors file" in refusal(tmp_path, CheckpointError)


def test_a_tensor_in_two_shards(tmp_path: Path) -> None:
    write_folder(tmp_path, shards=2)
    write_folder(tmp_path, weights={HEAD: tensors()[HEAD]}, name="model-extra.safetensors")
    said = refusal(tmp_path, CheckpointError)
    assert f"{HEAD} is also in another file" in said


def test_weights_that_are_no_numbers_load(tmp_path: Path) -> None:
    """Dense weights are not searched for NaN: that would read every byte of a mapped file."""
    from .refusal import load

    broken = {**tensors(), HEAD: torch.full((24, 16), float("nan"))}
    load(write_folder(tmp_path, weights=broken))
