"""The forms that FLUX.1's files come in: each makes the same image as diffusers' folder."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from tramontane.errors import CheckpointError, TramontaneError
from tramontane.tasks.image import ImageModel

from tests.images import tiny_flux
from tests.images.tiny_flux import by_their_names, parts, vae_by_their_names, write_folder

ASKED: dict[str, Any] = {
    "width": 48, "height": 32, "steps": 2, "guidance": 2.0, "seed": 3, "max_sequence_length": 24,
    "shift": 1.5,
}  # fmt: skip
TEXT = ("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("flux") / "model")


@pytest.fixture(scope="module")
def wanted(folder: Path) -> Any:
    return made(folder)


def made(model: Path, **loading: Any) -> Any:
    with ImageModel(model, threads=1, **loading) as found:
        return found.images("A red fox", **ASKED).images[0]


def transformer() -> dict[str, Tensor]:
    return by_their_names(parts(True)["transformer"])


def below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


@pytest.fixture
def published(folder: Path, tmp_path: Path) -> Path:
    """As in Black Forest Labs' repository: single files beside folders of the encoders."""
    for name in TEXT:
        shutil.copytree(folder / name, tmp_path / name)
    save_file(transformer(), tmp_path / "flux1-dev.safetensors")
    save_file(vae_by_their_names(parts(True)["vae"]), tmp_path / "ae.safetensors")
    return tmp_path / "flux1-dev.safetensors"


def test_the_published_single_file(published: Path, wanted: Any) -> None:
    with ImageModel(published, threads=1) as model:
        assert model.report.task == "image"
        assert set(model.report.parts) == {"", "vae", "text_encoder", "text_encoder_2"}
        assert np.array_equal(model.images("A red fox", **ASKED).images[0], wanted)


def test_files_of_comfyui_in_their_folders(folder: Path, tmp_path: Path, wanted: Any) -> None:
    """models/unet, models/clip, models/vae; tokenizers, which it has within, above."""
    for name in ("unet", "clip", "vae"):
        (tmp_path / name).mkdir()
    for name in ("tokenizer", "tokenizer_2"):
        shutil.copytree(folder / name, tmp_path / name)
    each = parts(True)
    file = tmp_path / "unet" / "flux1-dev-fp32.safetensors"
    save_file(below("model.diffusion_model.", transformer()), file)
    save_file(each["text_encoder"], tmp_path / "clip" / "clip_l.safetensors")
    save_file(each["text_encoder_2"], tmp_path / "clip" / "t5xxl_fp32.safetensors")
    save_file(vae_by_their_names(each["vae"]), tmp_path / "vae" / "ae.safetensors")
    assert np.array_equal(made(file), wanted)


def test_one_file_with_everything(folder: Path, tmp_path: Path, wanted: Any) -> None:
    each = parts(True)
    tensors = {
        **below("model.diffusion_model.", transformer()),
        **below("vae.", vae_by_their_names(each["vae"])),
        **below("text_encoders.clip_l.transformer.", each["text_encoder"]),
        **below("text_encoders.t5xxl.transformer.", each["text_encoder_2"]),
    }
    file = tmp_path / "flux1-dev-all.safetensors"
    save_file(tensors, file)
    with pytest.raises(CheckpointError, match=r"lacks others: CLIP's tokenizer .*T5's") as told:
        ImageModel(file)
    assert "autoencoder" not in str(told.value)
    assert np.array_equal(made(file, parts=folder), wanted)


@pytest.mark.parametrize(("kind", "near"), [("F32", 0), ("Q8_0", 24)])
def test_a_gguf_file_of_the_transformer(
    folder: Path, tmp_path: Path, wanted: Any, kind: str, near: int
) -> None:
    """With the rest from a folder. Vectors and small matrices stay floats, as in published
    ones."""
    file = tmp_path / "flux1-dev.gguf"
    writer = gguf.GGUFWriter(file, "flux")
    writer.add_quantization_version(2)
    for name, tensor in transformer().items():
        data = tensor.numpy()
        if kind == "F32" or data.ndim == 1 or "blocks" not in name:
            writer.add_tensor(name, data)
        else:
            quantized = gguf.quantize(data, gguf.GGMLQuantizationType[kind])
            writer.add_tensor(name, quantized, raw_dtype=gguf.GGMLQuantizationType[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(CheckpointError, match="--parts DIR"):
        ImageModel(file)
    found = made(file, parts=folder)
    off = np.abs(found.astype(int) - wanted.astype(int))
    assert off.max() <= near
    assert near == 0 or off.mean() > 0


def test_a_folder_of_the_transformer_alone_has_the_others_beside_it(
    folder: Path, wanted: Any
) -> None:
    assert np.array_equal(made(folder / "transformer"), wanted)


def test_weights_are_quantized_while_they_are_read(folder: Path, wanted: Any) -> None:
    with ImageModel(folder, threads=1, isq="q8_0") as model:
        layouts = model.report.parts["transformer"].layouts
        found = model.images("A red fox", **ASKED).images[0]
    assert sum(layouts.values()) - layouts.get("float32", 0) > 20, layouts
    off = np.abs(found.astype(int) - wanted.astype(int))
    assert 0 < off.mean() < 4


@pytest.mark.parametrize("lost", [*TEXT, "ae.safetensors"])
def test_a_missing_part_is_named(published: Path, lost: str) -> None:
    gone = published.parent / lost
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    with pytest.raises(CheckpointError, match=rf"\b{lost}.*FLUX\.1-dev.*--parts DIR"):
        ImageModel(published)


def test_a_folder_that_lacks_a_part_says_so(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "model"))
    shutil.rmtree(copy / "text_encoder_2")
    with pytest.raises(CheckpointError, match="text_encoder_2, which is missing"):
        ImageModel(copy)


def test_parts_of_other_models_are_refused(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "model"))
    config = copy / "vae" / "config.json"
    config.write_text(config.read_text().replace('"latent_channels": 4', '"latent_channels": 5'))
    with pytest.raises(TramontaneError, match=r"wrong shapes|do not belong together"):
        ImageModel(copy)


@pytest.mark.parametrize(
    "lost", ["double_blocks.1.img_mlp.0.bias", "single_blocks.1.linear1.weight"]
)
def test_a_file_with_a_tensor_too_few_is_refused(published: Path, lost: str) -> None:
    tensors = transformer()
    del tensors[lost]
    save_file(tensors, published)
    with pytest.raises(CheckpointError, match="missing"):
        ImageModel(published)


def test_names_are_those_that_diffusers_converts(monkeypatch: pytest.MonkeyPatch) -> None:
    if find_spec("diffusers") is None:
        pytest.skip("diffusers is not installed")
    from diffusers.loaders import single_file_utils

    monkeypatch.setattr(tiny_flux, "HIDDEN", 3072)  # which diffusers takes for granted
    shapes = tiny_flux.transformer_shapes(True)
    ours = tiny_flux.drawn(((name, (shape[0], 1)[: len(shape)]) for name, shape in shapes), 0)
    convert = single_file_utils.convert_flux_transformer_checkpoint_to_diffusers
    theirs = convert(by_their_names(ours))
    assert theirs.keys() == ours.keys()
    for name, tensor in ours.items():
        assert torch.equal(theirs[name], tensor), name
    ours = parts(True)["vae"]
    theirs = single_file_utils.convert_ldm_vae_checkpoint(vae_by_their_names(ours), tiny_flux.VAE)
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[name], tensor) for name, tensor in ours.items())
