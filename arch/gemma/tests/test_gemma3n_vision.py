"""Gemma 3n's encoder of images against timm's numbers, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tramontane.blocks.vision import at_once, encoding_bytes
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_gemma import gemma3n_convolution
from tramontane_arch_gemma.gemma3n_media import Gemma3nMedia, Gemma3nMediaConfig, processor
from tramontane_arch_gemma.gemma3n_vision import MobileNet, MobileNetConfig
from tramontane_arch_gemma.plugin import BY_TOKEN, SHARED, SIGHT, SOUNDS, SPARSE, TINY

CONFIG = TINY | SHARED | BY_TOKEN | SPARSE | SIGHT | SOUNDS
SMALL = MobileNetConfig(
    image_size=64, stem_channels=8, stage_channels=(16, 16, 24, 32), edges=2, inverted=(3, 2),
    attentions=(2, 1), heads=(2, 3), head_dims=(8, 16),
)  # fmt: skip
TIMM = (
    (0.71293187, 0.58209974, 1.26187372, -1.13818324),
    (2.61900616, -0.58454502, -0.12530002, 0.1838894),
    (1.41539037, -0.03873118, 0.50430828, -0.61494499),
    (0.62039518, -0.03592393, 0.79622108, -1.58361292),
)
"""Each 512th number of the four rows, of timm 1.0.31 with torch 2.13:

    MobileNetV5Encoder(decode_arch_def([
        ["er_r1_k3_s2_e4_c16", "er_r1_k3_s1_e4_c16"],
        ["uir_r1_a3_k5_s2_e6_c16", "uir_r1_a5_k0_s1_e4_c16", "uir_r1_a3_k0_s1_e4_c16"],
        ["uir_r1_a5_k5_s2_e6_c24", "uir_r1_a5_k0_s1_e4_c24", "uir_r1_a0_k0_s1_e1_c24",
         *["mqa_r1_k3_h2_v2_s1_d8_c24", "uir_r1_a0_k0_s1_e2_c24"] * 2],
        ["uir_r1_a5_k5_s2_e6_c32", "mqa_r1_k3_h3_s1_d16_c32", "uir_r1_a0_k0_s1_e2_c32"]]),
        stem_size=8, pad_type="same", msfa_output_resolution=2, norm_layer=RmsNorm2d,
        act_layer=partial(GELU, approximate="tanh"), layer_scale_init_value=1e-5)

with the weights and pixels that the functions below make.
"""


def weight(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """By its name in timm: about one where it is a vector, else by the numbers of a row."""
    count = int(np.prod(shape))
    waves = np.cos(0.7 * np.arange(count, dtype=np.float64) ** 1.1 + sum(name.encode()))
    made = waves / np.sqrt(count / shape[0]) if len(shape) > 1 else 1 + 0.1 * waves
    return torch.from_numpy(made.reshape(shape).astype(np.float32))


def pixels() -> torch.Tensor:
    made = 0.5 + 0.5 * np.cos(0.3 * np.arange(3 * 64 * 96, dtype=np.float64) ** 1.2)
    return torch.from_numpy(made.astype(np.float32)).reshape(3, 64, 96)[:, :, :64]


def encoded() -> torch.Tensor:
    encoder = MobileNet(SMALL, 2)
    shapes = {name: tuple(each.shape) for name, each in encoder.state_dict().items()}
    assert len(shapes) == 110
    encoder.load_state_dict({name: weight(name, shape) for name, shape in shapes.items()})
    return at_once(encoder.parts(pixels()))


def test_rows_are_as_timm_has_them() -> None:
    rows = encoded()
    assert rows.shape == (4, 2048)
    np.testing.assert_allclose(rows[:, ::512].numpy(), TIMM, atol=3e-4)
    assert rows.abs().sum().item() == pytest.approx(6783.9238, rel=1e-4)


@pytest.mark.parametrize("products", [1, 1 << 16])
def test_parts_of_any_size_give_the_same(products: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = encoded()
    monkeypatch.setattr(gemma3n_convolution, "PART", products)
    torch.testing.assert_close(encoded(), whole, rtol=0, atol=1e-3)


def test_the_published_encoder() -> None:
    with torch.device("meta"):
        encoder = MobileNet(MobileNetConfig(), 16)
    assert [len(stage) for stage in encoder.blocks] == [3, 5, 37, 39]
    assert sum(each.numel() for each in encoder.parameters()) == 294_126_912
    assert encoding_bytes(encoder) == 6 * 4 * 64 * 384**2


def images(**files: Any) -> Any:
    return processor(read_config(Gemma3nMediaConfig, CONFIG), files)


def test_an_image_is_a_square_and_its_end_is_a_row() -> None:
    offered = images(do_normalize=False)
    assert [each.kind for each in (offered, *offered.beside)] == ["image", "audio"]
    item = offered.prepare(np.full((3, 200, 3), 51, np.uint8))
    assert item.rows == 5
    assert offered.written(item) == "\n\n<start_of_image>" + "<image_soft_token>" * 5 + "\n\n"
    assert item.arrays["pixels"].shape == (3, 64, 64)
    assert np.unique(item.arrays["pixels"]).tolist() == [np.float32(51) * np.float32(1 / 255)]


@pytest.mark.parametrize(
    ("told", "said"),
    [({"size": {"height": 32, "width": 64}}, "do not fit an encoder of 64 x 64"),
     ({"do_rescale": False}, "do_rescale False is not supported, only True"),
     ({"rescale_factor": 1.0}, "rescale_factor 1.0 is not supported")],
)  # fmt: skip
def test_settings_that_are_refused(told: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        images(**told)


@pytest.mark.parametrize(
    ("told", "said"),
    [({"eoi_token_id": 60}, "vision_config has tokens 56 to 59, not eoi_token_id 60"),
     ({"vision_soft_tokens_per_image": 9}, "9 does not divide 4 x 4 places evenly"),
     ({"vision_config": {"architecture": "resnet50"}}, "architecture"),
     ({"vision_config": {"model_args": {"features_only": True}}}, "model_args"),
     ({"vision_config": {"image_size": 100}}, "image_size 100 is not a multiple of 32")],
)  # fmt: skip
def test_configurations_that_are_refused(told: dict[str, Any], said: str) -> None:
    if "vision_config" in told:
        told = {"vision_config": SIGHT["vision_config"] | told["vision_config"]}
    with pytest.raises(ConfigError, match=said):
        read_config(Gemma3nMediaConfig, CONFIG | told)


@pytest.mark.parametrize("absent", ["vision_config", "audio_config"])
def test_without_one_encoder_it_takes_what_the_other_does(absent: str) -> None:
    config = read_config(Gemma3nMediaConfig, CONFIG | {absent: None})
    offered = processor(config, {})
    assert offered is not None
    assert offered.kind == ("audio" if absent == "vision_config" else "image")
    assert not offered.beside
    with torch.device("meta"):
        model = Gemma3nMedia(config)
    assert hasattr(model, "vision_tower") == (absent == "audio_config")
