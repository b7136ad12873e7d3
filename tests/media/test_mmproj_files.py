"""Which encoder goes with a GGUF model: the one that is named, the one beside it, and what is
refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from tramontane import LLM
from tramontane.checkpoint.open import open_checkpoint
from tramontane.cli.main import main
from tramontane.errors import CheckpointError, TramontaneError, UsageError
from tramontane.hub.choose import first_parts
from tramontane.hub.options import HubOptions
from tramontane.model.encoder_file import by_likeness, open_with_encoder
from tramontane.registry import Registry

from .folders import FAMILIES, gemma3, picture, write
from .gguf_pair import write_pair


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's file and its encoder's, of Gemma 3."""
    source, pair = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("pair")
    write(source, FAMILIES["gemma3"])
    write_pair(source, pair)
    return pair


def copied(folder: Path, to: Path, *names: str) -> Path:
    for name in names or ("model-F32.gguf", "mmproj-model-f16.gguf"):
        (to / name).write_bytes((folder / name).read_bytes())
    return to


def opened(path: Path, mmproj: Any = None) -> Any:
    checkpoint = open_with_encoder(
        path, str(path), mmproj, Registry.from_environment(), HubOptions()
    )
    checkpoint.close()
    return checkpoint.header


def rewritten(source: Path, to: Path, drop: str = "", **changed: Any) -> Path:
    """The encoder's file with other metadata; None leaves a key out. drop: a tensor."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(to, "clip")
    told = {key: field.contents() for key, field in reader.fields.items() if key[:5] == "clip."}
    for key, value in {**told, **changed}.items():
        match value:
            case bool():
                writer.add_bool(key, value)
            case int():
                writer.add_uint32(key, value)
            case float():
                writer.add_float32(key, value)
            case str():
                writer.add_string(key, value)
            case list():
                writer.add_array(key, value)
    for tensor in reader.tensors:
        if tensor.name != drop:
            writer.add_tensor(tensor.name, np.array(tensor.data))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return to


def test_the_one_beside_the_model_is_taken(folder: Path) -> None:
    model = folder / "model-F32.gguf"
    found = opened(model)
    assert (found.architecture, found.encoder) == ("Gemma3ForConditionalGeneration", "gemma3")
    assert found.encoder_path == folder / "mmproj-model-f16.gguf"
    assert opened(folder).encoder == "gemma3"  # the folder has one model
    left = opened(model, False)
    assert (left.architecture, left.encoder) == ("gemma3", None)


def test_a_chat_with_an_image(folder: Path) -> None:
    question = [{"type": "image", "image": picture(40, 60)}, {"type": "text", "text": "what?"}]
    asked = [{"role": "user", "content": question}]
    with LLM(folder / "model-F32.gguf", device="reference") as llm:
        assert llm.chat(asked, max_tokens=2).usage.image_tokens == 4
    blind = LLM(folder / "model-F32.gguf", device="reference", mmproj=False)
    with blind as llm, pytest.raises(TramontaneError, match="text"):
        llm.chat(asked, max_tokens=2)


def test_inspect_says_where_it_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "-m", str(folder / "model-F32.gguf")]) == 0
    shown = capsys.readouterr().out
    assert "text and images" in shown
    assert "mmproj-model-f16.gguf (gemma3)" in shown
    assert main(["inspect", "-m", str(folder / "model-F32.gguf"), "--no-mmproj", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["takes"], found["encoder"]) == (["text"], None)


def test_a_half_precision_encoder(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    write(source, FAMILIES["qwen2-vl"])
    model, encoder = write_pair(source, tmp_path, half=True)
    stored = {name: info.stored for name, info in opened(model).tensors.items()}
    assert stored["v.patch_embd.weight"] == stored["mm.0.weight"] == "F16"
    with LLM(model, device="reference", mmproj=encoder) as llm:
        assert llm.inner.processors


@pytest.mark.parametrize(
    ("model", "files", "first"),
    [
        ("m-Q4_K_M.gguf", ["mmproj-F32.gguf", "mmproj-BF16.gguf", "mmproj-F16.gguf"], "BF16"),
        ("m-Q8_0.gguf", ["mmproj-m-Q8_0.gguf", "mmproj-m-f16.gguf"], "Q8_0"),
        ("m-f32.gguf", ["mmproj-F16.gguf", "mmproj-F32.gguf"], "F32"),
        ("q4/m-Q4_0-00001-of-00002.gguf", ["mmproj-F16.gguf", "q4/mmproj-F32.gguf"], "q4"),
        ("q4/m-Q4_0.gguf", ["q8/mmproj-F16.gguf", "MMPROJ.GGUF", "mmproj.txt"], "MMPROJ"),
    ],
)
def test_of_several_the_nearest(model: str, files: list[str], first: str) -> None:
    assert first in by_likeness(model, files)[0]


def test_a_repository_with_one_model_and_encoders_has_one_model() -> None:
    files = ["mmproj-F16.gguf", "mmproj-F32.gguf", "m-Q4_K_M.gguf", "README.md"]
    assert first_parts(files) == ["m-Q4_K_M.gguf"]


def test_one_beside_that_does_not_fit_is_passed_over(folder: Path, tmp_path: Path) -> None:
    copied(folder, tmp_path)
    encoder = tmp_path / "mmproj-model-f16.gguf"
    rewritten(encoder, tmp_path / "mmproj-a-f32.gguf", **{"clip.projector_type": "unheard"})
    assert opened(tmp_path / "model-F32.gguf").encoder_path == encoder
    encoder.unlink()
    assert opened(tmp_path / "model-F32.gguf").encoder is None


def test_one_in_the_repository_is_downloaded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = copied(folder, tmp_path, "model-F32.gguf") / "model-F32.gguf"
    files = {"model-F32.gguf": 1, "mmproj-BF16.gguf": 1, "mmproj-F32.gguf": 1, "q8/mmproj.gguf": 1}
    asked: list[str] = []

    def download(name: str, options: HubOptions) -> Path:
        asked.append(name)
        return folder / "mmproj-model-f16.gguf"

    monkeypatch.setattr("tramontane.hub.list_files", lambda name, options: files)
    monkeypatch.setattr("tramontane.hub.download", download)
    for name, mmproj in (("org/name", None), ("org/name:model-F32.gguf", None)):
        found = open_with_encoder(model, name, mmproj, Registry.from_environment(), HubOptions())
        found.close()
        assert found.header.encoder == "gemma3"
    assert asked == ["org/name:mmproj-F32.gguf"] * 2


def test_an_encoder_of_another_width(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    write(source, gemma3({"image_size": 28, "patch_size": 7}, 4, hidden_size=48))
    _, encoder = write_pair(source, tmp_path)
    with pytest.raises(CheckpointError, match=r"48 numbers.*hidden_size of 32"):
        opened(folder / "model-F32.gguf", encoder)


def test_an_encoder_of_another_family(folder: Path, tmp_path: Path) -> None:
    write(tmp_path, FAMILIES["qwen2-vl"])
    _, encoder = write_pair(tmp_path, tmp_path)
    with pytest.raises(CheckpointError, match=r"'qwen2vl_merger'.*qwen2vl.*is of type 'gemma3'"):
        opened(folder / "model-F32.gguf", encoder)


@pytest.mark.parametrize(
    ("changed", "drop", "words"),
    [
        ({"clip.projector_type": "unheard"}, "", "'unheard' is read by no installed.*gemma3"),
        ({"clip.projector_type": "ultravox", "clip.has_vision_encoder": False}, "", "sound"),
        ({"clip.projector_type": None}, "", "names no kind"),
        ({"clip.vision.block_count": None}, "", "'clip.vision.block_count' is missing"),
        ({"clip.vision.block_count": 3}, "", "missing: .*layers.2"),
        ({"clip.vision.image_size": 112}, "", "position_embd.*16, 32.*64, 32"),
        ({}, "mm.input_projection.weight", "no tensor 'mm.input_projection.weight'"),
        ({}, "v.blk.1.ln2.weight", r"missing: vision_tower\.encoder\.layers\.1\.layer_norm2"),
    ],
)
def test_a_damaged_encoder(
    folder: Path, tmp_path: Path, changed: dict[str, Any], drop: str, words: str
) -> None:
    source = folder / "mmproj-model-f16.gguf"
    encoder = rewritten(source, tmp_path / "mmproj-x.gguf", drop, **changed)
    with pytest.raises(CheckpointError, match=words):
        LLM(folder / "model-F32.gguf", device="reference", mmproj=encoder).close()


def test_a_truncated_encoder(folder: Path, tmp_path: Path) -> None:
    encoder = tmp_path / "mmproj-x.gguf"
    encoder.write_bytes((folder / "mmproj-model-f16.gguf").read_bytes()[:9000])
    with pytest.raises(CheckpointError, match="mmproj-x"):
        opened(folder / "model-F32.gguf", encoder)


def test_files_in_each_others_place(folder: Path, tmp_path: Path) -> None:
    model, encoder = folder / "model-F32.gguf", folder / "mmproj-model-f16.gguf"
    with pytest.raises(CheckpointError, match="is a language model"):
        opened(model, model)
    with pytest.raises(CheckpointError, match="holds an encoder of images"):
        opened(encoder)
    with pytest.raises(CheckpointError, match="holds an encoder of images"):
        open_checkpoint(encoder, Registry.from_environment())
    write(tmp_path, FAMILIES["gemma3"])
    with pytest.raises(UsageError, match="folder of safetensors"):
        opened(tmp_path, encoder)


def test_a_language_model_of_qwens_alone(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    write(source, FAMILIES["qwen3-vl"])
    model, _ = write_pair(source, tmp_path)
    with LLM(model, device="reference", mmproj=False, dtype="f32", activations="f32") as llm:
        assert not llm.inner.processors
        found = llm.logits([1, 2, 3])
    with LLM(source, device="reference", dtype="f32", activations="f32") as llm:
        assert np.abs(found - llm.logits([1, 2, 3])).max() < 1e-5
