"""--quant chooses a file by its name, or quantizing, or what fits into memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tramontane.errors import ModelNotFound, UsageError
from tramontane.hub.options import HubOptions
from tramontane.model.fit import fit
from tramontane.registry import Registry

from .fake_hub import FakeHub

FILES = {
    "m-Q2_K.gguf": 2, "m-Q4_0.gguf": 4, "m-Q4_K_M.gguf": 5, "m-IQ4_XS.gguf": 3, "m-Q8_0.gguf": 8,
    "m-UD-Q4_K_M.gguf": 5, "mmproj-Q8_0.gguf": 1, "m-Q6_K-00001-of-00002.gguf": 3,
    "m-Q6_K-00002-of-00002.gguf": 4, "m-F16.gguf": 16,
}  # fmt: skip


def folder(path: Path, **files: int) -> Path:
    for name, size in (files or FILES).items():
        (path / name).write_bytes(bytes(size * 1000))
    return path


def fitted(path: Path, quant: str, free: int = 1 << 40) -> tuple[str, str | None]:
    found = fit(str(path), quant, Registry(), HubOptions(), free)
    assert found.why
    return Path(found.name).name, found.isq


@pytest.mark.parametrize(
    ("quant", "file"),
    [
        ("4", "m-Q4_K_M.gguf"),
        ("2", "m-Q2_K.gguf"),
        ("8", "m-Q8_0.gguf"),
        ("6", "m-Q6_K-00001-of-00002.gguf"),
        ("q4_0", "m-Q4_0.gguf"),
        ("Q4_K_M", "m-Q4_K_M.gguf"),
        ("iq4_xs", "m-IQ4_XS.gguf"),
        ("f16", "m-F16.gguf"),
    ],
)
def test_the_file_of_a_number_or_kind(tmp_path: Path, quant: str, file: str) -> None:
    assert fitted(folder(tmp_path), quant) == (file, None)


def test_a_file_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"has no file of 5 bits; name one of .*m-Q2_K\.gguf"):
        fitted(folder(tmp_path), "5")


def test_two_models_are_ambiguous(tmp_path: Path) -> None:
    folder(tmp_path, **{"a-Q4_K_M.gguf": 1, "b-Q4_K_M.gguf": 1})
    with pytest.raises(ModelNotFound, match=r"several files of q4_k_m: .*a-Q4_K_M\.gguf"):
        fitted(tmp_path, "4")


@pytest.mark.parametrize("quantized", [True, False])
def test_a_folder_is_quantized_unless_it_is(tmp_path: Path, quantized: bool) -> None:
    config = {"quantization_config": {"bits": 4}} if quantized else {}
    (tmp_path / "config.json").write_text(json.dumps(config))
    folder(tmp_path, **{"model.safetensors": 10})
    assert fitted(tmp_path, "4") == (tmp_path.name, None if quantized else "4")
    assert fitted(tmp_path, "nf4") == (tmp_path.name, None if quantized else "nf4")


@pytest.mark.parametrize(
    ("free", "file"),
    [
        (25, "m-F16.gguf"),
        (12, "m-Q8_0.gguf"),
        (9, "m-Q6_K-00001-of-00002.gguf"),
        (1, "m-Q2_K.gguf"),
    ],
)
def test_auto_takes_the_largest_file_that_fits(tmp_path: Path, free: int, file: str) -> None:
    assert fitted(folder(tmp_path), "auto", free * 1000) == (file, None)


def test_auto_takes_weights_as_they_are_if_they_fit(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    folder(tmp_path, **{"model.safetensors": 100})
    assert fitted(tmp_path, "auto", 130_000) == (tmp_path.name, None)


def test_one_file_is_taken_as_it_is(tmp_path: Path) -> None:
    folder(tmp_path)
    assert fitted(tmp_path / "m-F16.gguf", "4") == ("m-F16.gguf", None)


@pytest.mark.parametrize("quant", ["9", "1", "44"])
def test_numbers_are_2_to_8(tmp_path: Path, quant: str) -> None:
    with pytest.raises(UsageError, match="2 to 8 bits, a kind, or auto"):
        fitted(tmp_path, quant)


def test_a_repository_is_asked_for_its_files(hub: FakeHub, options: HubOptions) -> None:
    hub.repos["org/many"] = {name: bytes(size) for name, size in FILES.items()}
    found = fit("org/many", "4", Registry(), options, 1 << 40)
    assert found.name == "org/many:m-Q4_K_M.gguf"
    found = fit("org/many", "auto", Registry(), options, 12)
    assert found.name == "org/many:m-Q8_0.gguf"
    found = fit("org/many:m-Q2_K.gguf", "4", Registry(), options, 12)
    assert found.name == "org/many:m-Q2_K.gguf"
    found = fit("org/whole", "4", Registry(), options, 12)
    assert (found.name, found.isq) == ("org/whole", "4")
    assert set(hub.fetched()) == {"config.json"}  # is it quantized already?


@pytest.mark.parametrize(
    ("more", "isq"),
    [
        ({"config.json": b'{"quantization_config": {"quant_method": "awq"}}'}, None),
        ({"config.json": b'{"quantization": {"bits": 4, "group_size": 64}}'}, None),
        ({"quantize_config.json": b"{}"}, None),
        ({}, "4"),
    ],
)
def test_a_quantized_repository_is_taken_as_it_is(
    more: dict[str, bytes], isq: str | None, hub: FakeHub, options: HubOptions
) -> None:
    hub.repos["org/quantized"] = {"config.json": b"{}", "model.safetensors": bytes(100), **more}
    found = fit("org/quantized", "4", Registry(), options, 1 << 40)
    assert (found.name, found.isq) == ("org/quantized", isq)
    if isq is None:
        assert "is quantized already" in found.why


@pytest.mark.parametrize(
    ("room", "file"), [(2100, "m-IQ2_XXS"), (1600, "m-IQ1_S"), (900, "m-TQ2_0")]
)
def test_auto_counts_what_files_of_a_repository_take_in_memory(
    room: int, file: str, hub: FakeHub, options: HubOptions
) -> None:
    """An IQ2_XXS takes 1.61 times its file: by that it is left out, not by its size."""
    files = {"m-IQ2_XXS.gguf": 1300, "m-IQ1_S.gguf": 900, "m-TQ2_0.gguf": 800}
    hub.repos["org/small"] = {name: bytes(size) for name, size in files.items()}
    found = fit("org/small", "auto", Registry(), options, int(room / 0.8) + 1)
    assert found.name == f"org/small:{file}.gguf"
