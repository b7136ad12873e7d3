"""Tiny random checkpoints of models that take sounds; see `folders`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import transformers
from tramontane import LLM
from tramontane.media.item import MediaItem

from . import latents
from .folders import TEXT, Vision
from .gemma3n import Gemma3nParts
from .latents import EARS
from .phi4 import model

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Hearing(Vision):
    """extract: samples -> what transformers' processor makes of them, by names of our arrays, and
    how many rows that is."""

    extract: Callable[[Samples], tuple[dict[str, Any], int]] = lambda samples: ({}, 0)


def sound(seconds: float, seed: int = 0, rate: int = 16_000) -> Samples:
    """A rising tone that comes and goes, with noise."""
    t = np.arange(int(seconds * rate)) / rate
    noise = np.random.default_rng(seed).normal(0, 0.02, len(t))
    wave = 0.4 * np.sin(2 * np.pi * (220 + 90 * seed + 300 * t) * t) * np.sin(3 * t + seed)
    return np.asarray(wave + noise, np.float32)


def voxtral(audio: dict[str, Any], hop: int, seconds: int, **text: Any) -> Hearing:
    told = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4} | audio
    frames = 2 * told["max_source_positions"]
    settings = {"feature_size": told["num_mel_bins"], "hop_length": hop, "chunk_length": seconds}
    extractor = transformers.WhisperFeatureExtractor(**settings)

    def make(ids: dict[str, int]) -> Any:
        config = transformers.VoxtralConfig(
            audio_config=told, text_config=TEXT | {"head_dim": 8} | text,
            audio_token_id=ids["[AUDIO]"],
        )  # fmt: skip
        return transformers.VoxtralForConditionalGeneration(config)

    def inputs(items: list[Any], ids: torch.Tensor, row: int) -> dict[str, Any]:
        features = [torch.from_numpy(item.arrays["features"]) for item in items]
        return {"input_features": torch.cat(features)}

    def extract(samples: Samples) -> tuple[dict[str, Any], int]:
        made = extractor(
            samples, sampling_rate=16_000, truncation=False, padding=True,
            pad_to_multiple_of=frames * hop, return_tensors="np",
        )["input_features"]  # fmt: skip
        pieces = made.reshape(len(made[0]), -1, frames).transpose(1, 0, 2)
        rows = told["max_source_positions"] * told["hidden_size"] // told["intermediate_size"]
        return {"features": pieces}, rows * len(pieces)

    special = ("[AUDIO]", "[BEGIN_AUDIO]")
    return Hearing(
        "voxtral", special, "[BEGIN_AUDIO][AUDIO]", make, inputs, special[0], settings, extract
    )


def qwen2_audio(audio: dict[str, Any], hop: int, seconds: int, **text: Any) -> Hearing:
    told = {"d_model": 32, "encoder_layers": 3, "encoder_attention_heads": 4} | audio
    settings = {"feature_size": told["num_mel_bins"], "hop_length": hop, "chunk_length": seconds}
    extractor = transformers.WhisperFeatureExtractor(**settings)

    def make(ids: dict[str, int]) -> Any:
        config = transformers.Qwen2AudioConfig(
            audio_config=told, text_config=TEXT | text, audio_token_index=ids["<|AUDIO|>"]
        )
        return transformers.Qwen2AudioForConditionalGeneration(config)

    def inputs(items: list[Any], ids: torch.Tensor, row: int) -> dict[str, Any]:
        features = torch.stack([torch.from_numpy(item.arrays["features"]) for item in items])
        places = torch.arange(features.shape[-1])
        lengths = torch.tensor([[int(item.arrays["frames"])] for item in items])
        return {"input_features": features, "feature_attention_mask": (places < lengths).long()}

    def extract(samples: Samples) -> tuple[dict[str, Any], int]:
        made = extractor(
            samples, sampling_rate=16_000, padding="max_length", return_attention_mask=True,
            return_tensors="np",
        )  # fmt: skip
        frames = int(made["attention_mask"].sum())
        arrays = {"features": made["input_features"][0], "frames": np.array(frames)}
        return arrays, (((frames - 1) // 2 + 1) - 2) // 2 + 1

    special = ("<|audio_bos|>", "<|AUDIO|>", "<|audio_eos|>")
    return Hearing(
        "qwen2-audio", special, "".join(special), make, inputs, special[1], settings, extract
    )


def gemma3n(rows: int, audio: dict[str, Any], **text: Any) -> Hearing:
    special = ("<start_of_audio>", "<end_of_audio>", "<audio_soft_token>", "<a2>")
    first = 256 + 4 + 1  # bytes, those of every tokenizer here, and one of the language model
    told = {
        "vocab_size": 3, "vocab_offset": first, "hidden_size": 32, "conf_num_attention_heads": 4,
        "conf_num_hidden_layers": 2, "sscp_conv_channel_size": (8, 4), "input_feat_size": 40,
    } | audio  # fmt: skip
    settings = {"feature_size": told["input_feat_size"]}
    extractor = transformers.Gemma3nAudioFeatureExtractor(**settings)

    def make(ids: dict[str, int]) -> Any:
        own = TEXT | {
            "vocab_size": first + 3, "vocab_size_per_layer_input": first, "head_dim": 8,
            "num_hidden_layers": 4, "intermediate_size": [48] * 4, "sliding_window": 16,
            "hidden_size_per_layer_input": 8, "num_kv_shared_layers": 2, "laurel_rank": 4,
            "altup_num_inputs": 2, "activation_sparsity_pattern": [0.95, 0.0, 0.0, 0.0],
            "layer_types": ["sliding_attention", "full_attention"] * 2,
        } | text  # fmt: skip
        return Gemma3nParts(own, told, rows, ids[special[1]])

    def inputs(items: list[Any], ids: torch.Tensor, row: int) -> dict[str, Any]:
        features = [torch.from_numpy(item.arrays["features"]) for item in items]
        return {"features": features, "row": row}

    def extract(samples: Samples) -> tuple[dict[str, Any], int]:
        made = extractor(samples, return_tensors="np")
        assert made["input_features_mask"].all()
        return {"features": made["input_features"][0]}, rows + 1

    return Hearing("gemma3n", special, special[2], make, inputs, special[2], settings, extract)


def phi4(
    audio: dict[str, Any], ranks: tuple[int, ...], *, folders: bool = False, **text: Any
) -> Hearing:
    told = {"feature_size": audio.get("input_size", 80),
            "audio_compression_rate": audio.get("time_reduction", 8)}  # fmt: skip
    settings = told | {"size": {"height": 56, "width": 56}}
    extractor = transformers.Phi4MultimodalFeatureExtractor(**told)

    def make(ids: dict[str, int]) -> Any:
        made = model(TEXT | text, {}, audio, ids, ranks, folders=folders)
        made.config.image_token_id = ids["<|endoftext11|>"]
        return made

    def inputs(items: list[Any], ids: torch.Tensor, row: int) -> dict[str, Any]:
        return {"sounds": ([torch.from_numpy(item.arrays["features"]) for item in items], row)}

    def extract(samples: Samples) -> tuple[dict[str, Any], int]:
        made = extractor(samples, sampling_rate=16_000, return_tensors="np")
        return {"features": made["audio_input_features"][0]}, int(made["audio_embed_sizes"][0])

    special = ("<|endoftext10|>", "<|endoftext11|>")
    return Hearing("phi4-sounds", special, "<|audio|>", make, inputs, special[1], settings, extract)


def minicpm(audio: dict[str, Any], hop: int, seconds: int, **outer: Any) -> Hearing:
    told = EARS | audio
    settings = {"feature_size": told["num_mel_bins"], "hop_length": hop, "chunk_length": seconds}
    extractor = transformers.WhisperFeatureExtractor(**settings)
    eyes = {"image_size": 32, "patch_size": 8}
    longer = {
        name: outer.pop(name)
        for name in ("max_position_embeddings", "num_hidden_layers")
        if name in outer
    }
    made = latents.minicpm(eyes, 1, settings, outer=latents.OMNI | outer, audio=told, **longer)
    piece, pool = seconds * 16_000, outer.get("audio_pool_step", 2)

    def inputs(items: list[Any], ids: torch.Tensor, row: int) -> dict[str, Any]:
        found = [item.arrays for item in items]
        return {
            "sounds": [
                torch.from_numpy(each["features"]).split(each["frames"].tolist(), 1)
                for each in found
            ]
        }

    def extract(samples: Samples) -> tuple[dict[str, Any], int]:
        parts = [samples[start : start + piece] for start in range(0, len(samples), piece)]
        made = extractor(
            parts, sampling_rate=16_000, padding="max_length", return_attention_mask=True,
            return_tensors="np",
        )  # fmt: skip
        frames = made["attention_mask"].sum(1)
        cut = [each[:, :count] for each, count in zip(made["input_features"], frames, strict=True)]
        whole = -(-len(samples) // hop)
        rows = (((whole - 1) // 2 + 1) - pool) // pool + 1
        return {"features": np.concatenate(cut, 1), "frames": frames}, rows

    return Hearing(
        made.name, made.special, "(<audio>./</audio>)", made.make, inputs, made.row,
        made.processor, extract,
    )  # fmt: skip


SMALL = {"num_mel_bins": 20, "max_source_positions": 100}
PUBLISHED = {"num_mel_bins": 128, "max_source_positions": 1500}
LONG = {"max_position_embeddings": 4096}
HEARING: dict[str, Hearing] = {
    "voxtral": voxtral(SMALL | {"intermediate_size": 128}, 80, 1),
    "voxtral-half-rows": voxtral(
        SMALL | {"hidden_size": 24, "intermediate_size": 48, "num_attention_heads": 2}, 160, 2,
        tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 1e8},
    ),
    "voxtral-published-pieces": voxtral(
        PUBLISHED | {"intermediate_size": 128, "num_hidden_layers": 1}, 160, 30,
        num_hidden_layers=1, **LONG,
    ),
    "qwen2-audio": qwen2_audio(SMALL | {"encoder_ffn_dim": 48}, 80, 1),
    "qwen2-audio-odd-bands": qwen2_audio(
        SMALL | {"encoder_ffn_dim": 40, "num_mel_bins": 13, "activation_function": "gelu_new"},
        160, 2, num_key_value_heads=1, tie_word_embeddings=True,
    ),
    "qwen2-audio-published-pieces": qwen2_audio(
        PUBLISHED | {"encoder_ffn_dim": 48, "encoder_layers": 1}, 160, 30, num_hidden_layers=1,
        **LONG,
    ),
    "phi4-multimodal-sounds": phi4({"bias_max_distance": 6}, (4, 6), tie_word_embeddings=True),
    "phi4-multimodal-sounds-folders": phi4(
        {"input_size": 23, "time_reduction": 4, "hidden_size": 24, "num_attention_heads": 2,
         "kernel_size": 4, "depthwise_multiplier": 2}, (3, 5), folders=True, num_key_value_heads=1,
    ),
    "phi4-multimodal-published-pieces": phi4(
        {"num_blocks": 1}, (4, 6), num_hidden_layers=1, **LONG
    ),
    "minicpm-o-sounds": minicpm({}, 160, 2),
    "minicpm-o-sounds-all-seen": minicpm(
        {"d_model": 24, "num_mel_bins": 13}, 160, 2, audio_chunk_length=-1.0, audio_pool_step=5
    ),
    "minicpm-o-sounds-published-pieces": minicpm(
        {"num_mel_bins": 80, "max_source_positions": 1500, "encoder_layers": 1}, 160, 30,
        num_hidden_layers=1, **LONG
    ),
    "gemma3n": gemma3n(16, {}),
    "gemma3n-looks-ahead": gemma3n(
        20, {"hidden_size": 24, "conf_num_attention_heads": 2, "conf_attention_context_left": 5,
             "conf_attention_context_right": 2, "conf_attention_chunk_size": 4,
             "conf_reduction_factor": 3, "conf_conv_kernel_size": 4, "gradient_clipping": 1.5,
             "conf_residual_weight": 0.3, "input_feat_size": 23},
        altup_num_inputs=3, num_key_value_heads=1,
    ),
    "gemma3n-published-rows": gemma3n(188, {"input_feat_size": 128}, **LONG),
}  # fmt: skip


def _three(name: str) -> list[Samples]:
    """A short one, silence, and one of more than a piece."""
    if name == "phi4-multimodal-published-pieces":
        return [sound(41.3), np.zeros(400, np.float32), sound(0.9, 2)]
    if name.endswith("published-pieces"):
        return [sound(31.0), np.zeros(4000, np.float32), sound(0.9, 2)]
    return [sound(0.71), np.zeros(4000, np.float32), sound(2.3, 2)]


def prepared(llm: LLM, hearing: Hearing, samples: Samples) -> MediaItem:
    """An item whose arrays have the bits of transformers'."""
    item = llm.inner.processors["audio"].prepare(samples)
    arrays, rows = hearing.extract(samples)
    assert item.rows == rows
    assert item.arrays.keys() == arrays.keys()
    for key, array in arrays.items():
        np.testing.assert_array_equal(item.arrays[key], array)
    return item


def heard(llm: LLM, hearing: Hearing) -> list[MediaItem]:
    """Three sounds as a family's encoder takes them."""
    name = next(name for name, each in HEARING.items() if each is hearing)
    return [prepared(llm, hearing, samples) for samples in _three(name)]
