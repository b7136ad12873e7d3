"""Paths that lead to no model say what is there and what to do."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tramontane import LLM
from tramontane.checkpoint import open as opening
from tramontane.errors import CheckpointError, ModelNotFound, PluginNotInstalled, TramontaneError
from tramontane.hub.options import HubOptions
from tramontane.model.source import find_model
from tramontane.registry import Registry

from .refusal import checked, refusal, registry
from .tiny_folder import CONFIG, write_folder


def not_found(name: str) -> str:
    with pytest.raises(ModelNotFound) as caught:
        find_model(name, Registry(), HubOptions())
    return checked(caught.value)


@pytest.mark.parametrize(
    "name", ["./absent", "absent.gguf", "models/absent.gguf", "/absent/model", "~nobody-here/model",
             "a" * 300, "../nowhere/model", "a\0b"]
)  # fmt: skip
def test_no_such_file(name: str) -> None:
    said = not_found(name)
    assert "there is no such file or folder here" in said
    assert "org/name" in said


def test_a_path_that_vanished(tmp_path: Path) -> None:
    assert f"no such file or folder: {tmp_path}/gone" in refusal(tmp_path / "gone", ModelNotFound)


def test_the_python_api_says_the_same() -> None:
    with pytest.raises(ModelNotFound, match=r"no model './absent'.*no such file or folder"):
        LLM("./absent")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", ["", "config.json", "model.safetensors"])
def test_no_access(tmp_path: Path, name: str) -> None:
    path = write_folder(tmp_path / "m") / name
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        assert "ermission" in refusal(tmp_path / "m")
    finally:
        path.chmod(mode)


def test_no_access_to_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path)
    real = os.open

    def barred(path: Path, *arguments: int, **keywords: int) -> int:
        if str(path).endswith(".safetensors"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **keywords)

    monkeypatch.setattr(os, "open", barred)
    said = refusal(tmp_path, ModelNotFound)
    assert f"no permission to read {tmp_path}/model.safetensors: change its mode" in said


def test_no_access_to_a_folder_above(monkeypatch: pytest.MonkeyPatch) -> None:
    def barred(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", barred)
    assert "no permission to look at /root/model" in not_found("/root/model")


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("notes.txt", b"Dear diary", "is not a model that an installed plugin can read"),
        ("notes.txt", b"Dear diary", "it begins with b'Dear'"),
        ("picture.png", b"\x89PNG\r\n\x1a\n", "installed formats: safetensors"),
        ("empty", b"", "is empty: copy or download it again"),
        ("empty.gguf", b"", "is empty: copy or download it again"),
        ("page.gguf", b"<html>", "is not a gguf file: it begins with b'<htm'"),
        ("x.safetensors", b"", "is not a whole safetensors file"),
        (
            "x.safetensors",
            b"\x02\0\0\0\0\0\0\0{}",
            "needs the model's config.json in the same folder",
        ),
        ("x.bin", b"", "needs the model's config.json in the same folder"),
    ],
)
def test_not_a_model(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(data)
    assert said in refusal(tmp_path / name, CheckpointError)


def test_a_format_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "known", lambda kind: {"sesame": "tramontane-quant-sesame"})
    (tmp_path / "model.sesame").write_bytes(b"open")
    said = refusal(tmp_path / "model.sesame", CheckpointError)
    assert "looks like sesame; to read it: pip install tramontane-quant-sesame" in said


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "neither a file nor a folder" in refusal(tmp_path / "pipe", CheckpointError)


def test_a_link_to_itself(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert "cannot read" in refusal(tmp_path / "loop", ModelNotFound)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([], "is not a model: it has no config.json and no model file"),
        (["README.md"], "is not a model: it has no config.json and no model file"),
        (["config.json"], "has config.json but no weights: looked for *.safetensors"),
        (["config.json", "model.safetensors.txt"], "has config.json but no weights"),
        (["model.safetensors"], "has model.safetensors but no config.json"),
        (["a.gguf", "b.gguf"], "holds several models; name one of a.gguf, b.gguf"),
        ([f"{i}.gguf" for i in range(10, 30)], "and 12 more"),
    ],
)
def test_folders_that_are_no_model(tmp_path: Path, files: list[str], said: str) -> None:
    for name in files:
        (tmp_path / name).write_bytes(json.dumps(CONFIG).encode())
    assert said in refusal(tmp_path, CheckpointError)


def test_folders_where_files_should_be(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "model.safetensors").mkdir()
    assert "model.safetensors" in refusal(tmp_path)
    (tmp_path / "config.json").unlink()
    (tmp_path / "config.json").mkdir()
    assert "config.json" in refusal(tmp_path)


INDEX = "model.safetensors.index.json"


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ({"weight_map": {"a": "gone.safetensors"}}, f"{INDEX} names gone.safetensors, which is"),
        ({"weight_map": {"a": "../x.safetensors"}}, "'../x.safetensors', which is not a file name"),
        ({"weight_map": {"a": "/etc/passwd"}}, "'/etc/passwd', which is not a file name"),
        ({"weight_map": {"a": "b\\c"}}, "which is not a file name"),
        ({"weight_map": {"a": ".."}}, "which is not a file name"),
        ({"weight_map": {"a": 7}}, "'a' is in 7, which is not a file name"),
        ({"weight_map": {}}, "'weight_map' must map tensors to file names"),
        ({"weight_map": ["model.safetensors"]}, "'weight_map' must map tensors to file names"),
        ({}, "'weight_map' must map tensors to file names"),
        ([], "a JSON object"),
    ],
)
def test_indexes(tmp_path: Path, index: object, said: str) -> None:
    write_folder(tmp_path)
    (tmp_path / INDEX).write_text(json.dumps(index))
    assert said in refusal(tmp_path, CheckpointError)


def test_an_index_is_not_json(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / INDEX).write_text("{")
    assert f"{INDEX} is not JSON" in refusal(tmp_path, CheckpointError)


@pytest.mark.parametrize("method", ["gguf", "unheard-of"])
def test_quantization_that_nobody_reads(tmp_path: Path, method: str) -> None:
    write_folder(tmp_path, {**CONFIG, "quantization_config": {"quant_method": method}})
    said = refusal(tmp_path, TramontaneError)
    assert method in said


@pytest.mark.parametrize("method", ["quanto", "torchao"])
def test_quantization_whose_plugin_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setitem(registry()._installed, "quantizers", [])
    write_folder(tmp_path, {**CONFIG, "quantization_config": {"quant_method": method}})
    said = refusal(tmp_path, PluginNotInstalled)
    assert f"to get it: pip install tramontane-quant-{method}" in said


@pytest.mark.parametrize("name", ["quantization_map.json", "quanto_qmap.json"])
def test_a_map_of_quanto_beside_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(registry()._installed, "quantizers", [])
    write_folder(tmp_path)
    layer = {"weights": "qint8", "activations": "none"}
    (tmp_path / name).write_text(json.dumps({"lm_head": layer}))
    said = refusal(tmp_path, PluginNotInstalled)
    assert "to get it: pip install tramontane-quant-quanto" in said


@pytest.mark.parametrize(
    ("architecture", "said"),
    [
        ("NobodyForCausalLM", "no installed plugin offers 'NobodyForCausalLM' (architectures)"),
        ("LlamaForCausalLm", "did you mean 'LlamaForCausalLM'?"),
        ("KnownForCausalLM", "to get it: pip install tramontane-arch-known"),
    ],
)
def test_unknown_architectures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str, said: str
) -> None:
    ours = {
        "KnownForCausalLM": "tramontane-arch-known",
        "LlamaForCausalLM": "tramontane-arch-llama",
    }
    monkeypatch.setattr("tramontane.registry.registry.known", lambda kind: ours)
    write_folder(tmp_path, {**CONFIG, "architectures": [architecture]})
    assert said in refusal(tmp_path, PluginNotInstalled)


def test_parts_must_be_folders_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    for name in ("", ".", "..", "../x"):
        index = {"_class_name": "FluxPipeline", name: ["diffusers", "AutoencoderKL"]}
        (tmp_path / "model_index.json").write_text(json.dumps(index))
        assert "is no name of a folder" in refusal(tmp_path, CheckpointError)
