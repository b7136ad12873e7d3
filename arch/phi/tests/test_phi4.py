"""Phi-4-multimodal: published configurations, costs, marks, and what is refused."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_phi.phi4_config import Phi4MultimodalConfig
from tramontane_arch_phi.phi4_images import Phi4Images
from tramontane_arch_phi.plugin import HEARING, TINY

SMALL: dict[str, Any] = TINY | {"num_key_value_heads": 2} | HEARING
PUBLISHED: dict[str, Any] = {
    "architectures": ["Phi4MMForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
    "audio_processor": {
        "config": {
            "activation": "swish", "attention_dim": 1024, "attention_heads": 16,
            "activation_checkpointing": {"interval": 1, "module": "transformer", "offload": False},
            "batch_norm": False, "bias_in_glu": True, "causal": True, "chunk_size": -1,
            "cnn_layer_norm": True, "conv_activation": "swish", "conv_glu_type": "swish",
            "depthwise_multiplier": 1, "depthwise_seperable_out_channel": 1024,
            "dropout_rate": 0.0, "encoder_embedding_config": {"input_size": 80},
            "ext_pw_kernel_size": 1, "ext_pw_out_channel": 1024, "input_layer": "nemo_conv",
            "input_size": 80, "kernel_size": 3, "left_chunk": 18, "linear_units": 1536,
            "nemo_conv_settings": {"conv_channels": 1024}, "num_blocks": 24,
            "relative_attention_bias_args": {"t5_bias_max_distance": 500, "type": "t5"},
            "time_reduction": 8,
        },
        "name": "cascades",
    },
    "embd_layer": {
        "audio_embd_layer": {
            "compression_rate": 8, "downsample_rate": 1, "embedding_cls": "audio",
            "enable_gradient_checkpointing": True, "projection_cls": "mlp",
            "use_conv_downsample": False, "use_qformer": False,
        },
        "embedding_cls": "image_audio",
        "image_embd_layer": {
            "crop_size": 448, "embedding_cls": "tune_image",
            "enable_gradient_checkpointing": True, "hd_transform_order": "sub_glb",
            "image_token_compression_cls": "avg_pool_2d", "projection_cls": "mlp",
            "use_hd_transform": True, "with_learnable_separator": True,
        },
    },
    "hidden_act": "silu", "hidden_size": 3072, "img_processor": None, "intermediate_size": 8192,
    "max_position_embeddings": 131072, "model_type": "phi4mm", "num_attention_heads": 24,
    "num_hidden_layers": 32, "num_key_value_heads": 8, "partial_rotary_factor": 0.75,
    "original_max_position_embeddings": 4096, "rms_norm_eps": 1e-05, "rope_theta": 10000.0,
    "rope_scaling": {"long_factor": [1.5] * 48, "short_factor": [1.0] * 48, "type": "longrope"},
    "sliding_window": 262144, "tie_word_embeddings": True, "vocab_size": 200064,
    "speech_lora": {"dp": 0.01, "layer": "layers.*", "lora_alpha": 640, "r": 320},
    "vision_lora": {"dp": 0.0, "layer": "layers.*", "lora_alpha": 512, "r": 256},
}  # fmt: skip
FILES = {"audio_compression_rate": 8, "audio_downsample_rate": 1, "audio_feat_stride": 1,
         "dynamic_hd": 36, "image_processor_type": "Phi4MMImageProcessor"}  # fmt: skip


def test_the_published_configuration() -> None:
    cfg = read_config(Phi4MultimodalConfig, PUBLISHED)
    vision, audio = cfg.vision_config, cfg.audio_config
    assert (vision.hidden_size, vision.num_hidden_layers, vision.feature) == (1152, 27, 26)
    assert (audio.hidden_size, audio.num_blocks, audio.bias_max_distance) == (1024, 24, 500)
    assert (audio.halvings, audio.bands, audio.intermediate_size) == (3, 10, 1536)
    assert cfg.vision_lora is not None
    assert cfg.speech_lora is not None
    assert (cfg.vision_lora.r, cfg.speech_lora.lora_alpha) == (256, 640)


def test_what_images_and_sounds_cost() -> None:
    images = Phi4Images(read_config(Phi4MultimodalConfig, PUBLISHED), FILES)
    (sounds,) = images.beside
    for size, grid, rows in (
        ((448, 448), [1, 1, 32, 32], 256 + 1 + 16 * 17 + 16),
        ((300, 500), [1, 2, 32, 54], 721),
        ((768, 1024), [2, 3, 64, 86], 256 + 1 + 32 * 44 + 16),
        ((1, 50), [1, 1, 1, 32], 0),
    ):
        if rows:
            item = images.prepare(np.zeros((*size, 3), np.uint8))
            assert (item.arrays["grid"].tolist(), item.rows) == (grid, rows)
        else:
            with pytest.raises(ValueError, match="50 x 1 pixels is too long: it would be 448 x 8"):
                images.prepare(np.zeros((*size, 3), np.uint8))
    for seconds, rows in ((1.3, 16), (10, 125), (40, 500)):
        assert sounds.prepare(np.zeros(int(seconds * 16_000), np.float32)).rows == rows
    with pytest.raises(ValueError, match="399 samples is too short to be heard"):
        sounds.prepare(np.zeros(399, np.float32))


def small(**files: Any) -> Phi4Images:
    return Phi4Images(read_config(Phi4MultimodalConfig, SMALL), files)


def test_what_is_behind_an_image_is_white() -> None:
    item = small().prepare(np.zeros((30, 18, 3), np.uint8))
    assert item.arrays["grid"].tolist() == [2, 2, 8, 5]
    canvas = item.arrays["pixels"][1:].reshape(2, 2, 3, 16, 16).transpose(2, 0, 3, 1, 4)
    canvas = canvas.reshape(3, 32, 32)
    assert (canvas[:, :, :19] == -1).all()
    assert (canvas[:, :, 19:] == 1).all()
    assert item.rows == 4 * (3 + 1) + 1 + 2 * 3


def test_marks_may_have_numbers() -> None:
    images = small()
    assert images.rendered("a<|image|>b<|audio|>") == "a<|image|>b<|audio|>"
    told = "<|image|><|audio|><|audio|>in <|image_1|>: <|audio_1|> or <|audio_2|>?"
    assert images.rendered(told) == "in <|image|>: <|audio|> or <|audio|>?"
    with pytest.raises(ValueError, match="marks of the sounds 2, 1"):
        images.rendered("<|audio_2|><|audio_1|>")


def test_the_adapter_of_a_prompt() -> None:
    kinds = (), ("audio",), ("image",), ("audio", "image")
    chosen = [small().adapter(each) for each in kinds]
    assert chosen == [None, "speech", "vision", "vision"]


def changed(path: str, value: Any) -> dict[str, Any]:
    told = copy.deepcopy(PUBLISHED)
    *outer, last = path.split(".")
    part = told
    for name in outer:
        part = part[name]
    part[last] = value
    return told


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("embd_layer.embedding_cls", "image"),
        ("embd_layer.image_embd_layer.hd_transform_order", "glb_sub"),
        ("embd_layer.image_embd_layer.image_token_compression_cls", None),
        ("embd_layer.image_embd_layer.crop_size", 384),
        ("embd_layer.audio_embd_layer.use_qformer", True),
        ("embd_layer.audio_embd_layer.downsample_rate", 2),
        ("embd_layer.audio_embd_layer.compression_rate", 4),
        ("audio_processor.name", "other"),
        ("audio_processor.config.input_layer", "conv2d"),
        ("audio_processor.config.causal", False),
        ("audio_processor.config.chunk_size", 18),
        ("audio_processor.config.activation", "relu"),
        ("audio_processor.config.ext_pw_out_channel", 512),
        ("audio_processor.config.relative_attention_bias_args.type", "rope"),
        ("img_processor", {"type_feature": "cls_patch"}),
        ("vision_lora.r", 0),
    ],
)
def test_configurations_that_are_refused(path: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=path.rpartition(".")[2].replace("img_p", ".*p")):
        read_config(Phi4MultimodalConfig, changed(path, value))


@pytest.mark.parametrize(
    "change",
    [{"dynamic_hd": 0}, {"size": {"height": 448, "width": 448}}, {"patch_size": 14},
     {"do_normalize": False}, {"resample": 1},
     {"audio_compression_rate": 4}, {"audio_downsample_rate": 2}, {"feature_size": 128}],
    ids=str,
)  # fmt: skip
def test_processors_that_are_refused(change: dict[str, Any]) -> None:
    (name,) = change
    fits = {"size": {"height": 16, "width": 16}, "patch_size": 4}
    with pytest.raises(ValueError, match=name):
        small(**fits | change)


def test_positions_are_of_a_power_of_two_frames() -> None:
    with pytest.raises(ConfigError, match="time_reduction 6 is no power of two"):
        read_config(Phi4MultimodalConfig, SMALL | {"audio_config": {"time_reduction": 6}})
