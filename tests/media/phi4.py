"""Phi-4-multimodal as it is published: transformers' class, and what that leaves out, the adapters
for images and sounds, as plain sums beside the products that they change.

Written from the checkpoint's own code; nothing of Tramontane is in it. Sounds are encoded one by
one: beside longer ones transformers attends to what they are filled with.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import safetensors.torch
import torch
import torch.nn.functional as F
import transformers
from torch import Tensor, nn

NAMES = ("vision", "speech")
MATRICES = ("self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj", "mlp.down_proj")
RENAMED = (
    ("image_embed.img_projection_up", "image_embed.img_projection.0"),
    ("image_embed.img_projection_down", "image_embed.img_projection.2"),
    ("global_img_feature_extensor", "glb_GN"),
    ("sub_img_feature_extensor", "sub_GN"),
    ("up_proj_for_speech", "audio_projection.speech.0"),
    ("down_proj_for_speech", "audio_projection.speech.2"),
    ("up_proj_for_vision_speech", "audio_projection.vision.0"),
    ("down_proj_for_vision_speech", "audio_projection.vision.2"),
)
"""transformers' names, and the published ones."""
IMAGES = {"embedding_cls": "tune_image", "projection_cls": "mlp", "use_hd_transform": True,
          "with_learnable_separator": True, "hd_transform_order": "sub_glb",
          "image_token_compression_cls": "avg_pool_2d"}  # fmt: skip
SOUNDS = {"embedding_cls": "audio", "projection_cls": "mlp", "downsample_rate": 1,
          "use_qformer": False, "use_conv_downsample": False}  # fmt: skip


class Phi4(nn.Module):
    """ranks: of the adapters; none: a save of transformers', which has none. folders: adapters lie
    in folders as peft saves them, and tensors have transformers' names."""

    def __init__(self, config: Any, ranks: tuple[int, ...], alpha: int, *, folders: bool) -> None:
        super().__init__()
        self.inner = transformers.Phi4MultimodalForCausalLM(config)
        self.inner.set_attn_implementation("eager")  # sdpa sees whole images in causal order
        self.config = SimpleNamespace(image_token_id=0)
        self.ranks, self.alpha, self.folders = dict(zip(NAMES, ranks)), alpha, folders  # noqa: B905
        self.active = ""
        self.first, self.second = nn.ParameterDict(), nn.ParameterDict()
        normal = self.extended.audio_embed.encoder.encoder_embedding
        normal.global_mean.copy_(torch.linspace(4, 9, len(normal.global_mean)))
        normal.global_invstd.copy_(torch.linspace(0.1, 0.4, len(normal.global_mean)))
        for path, module in self.changed():
            for name, rank in self.ranks.items():
                key, (rows, columns) = self.key(path, name), module.weight.shape
                self.first[key] = nn.Parameter(torch.zeros(rank, columns))
                self.second[key] = nn.Parameter(torch.zeros(rows, rank))
            module.register_forward_hook(self.adds(path))

    @property
    def extended(self) -> Any:
        return self.inner.model.embed_tokens_extend

    def changed(self) -> list[tuple[str, Any]]:
        return [(path, module) for path, module in self.inner.named_modules()
                if path.startswith("model.layers.") and path.endswith(MATRICES)]  # fmt: skip

    def key(self, path: str, name: str) -> str:
        return f"{path}.{name}".replace(".", "/")

    def adds(self, path: str) -> Any:
        def hook(module: Any, args: tuple[Tensor, ...], out: Tensor) -> Tensor:
            if self.active not in self.ranks:
                return out
            key, scale = self.key(path, self.active), self.alpha / self.ranks[self.active]
            return out + F.linear(F.linear(args[0], self.first[key]), self.second[key]) * scale

        return hook

    def forward(self, input_ids: Tensor, **media: Any) -> Any:
        """As transformers' own, with the adapter of its media; sounds: of which each is encoded by
        itself, as (features, ids that stand for one)."""
        sounds, row = media.pop("sounds", ([], None))
        seen = "image_pixel_values" in media
        self.active = "vision" if seen else "speech" if sounds else ""
        x = self.inner.get_input_embeddings()(input_ids)
        x = self.extended(input_ids, x, **media).clone()
        if sounds:
            x[input_ids == row] = torch.cat([self.heard(each, seen=seen) for each in sounds])
        return self.inner(inputs_embeds=x)

    def heard(self, features: Tensor, *, seen: bool) -> Tensor:
        embed = self.extended.audio_embed
        kind = "vision_speech" if seen else "speech"
        x = getattr(embed, f"up_proj_for_{kind}")(embed.encoder(features[None], None)[0])
        out: Tensor = getattr(embed, f"down_proj_for_{kind}")(F.gelu(x))
        return out

    def save_pretrained(self, folder: Path) -> None:
        if not self.ranks or self.folders:
            self.inner.save_pretrained(folder)
            for name in self.ranks:
                self.save_adapter(folder / f"{name}-lora", name)
            return
        tensors = {}
        for path, tensor in self.inner.state_dict().items():
            tensors[published(path)] = tensor.clone()
        if self.inner.config.tie_word_embeddings:
            del tensors["lm_head.weight"]
        for path, _ in self.changed():
            tensors[f"{path}.base_layer.weight"] = tensors.pop(f"{path}.weight")
            for name in self.ranks:
                tensors[f"{path}.lora_A.{name}.weight"] = self.first[self.key(path, name)].data
                tensors[f"{path}.lora_B.{name}.weight"] = self.second[self.key(path, name)].data
        safetensors.torch.save_file(tensors, str(folder / "model.safetensors"))
        (folder / "config.json").write_text(json.dumps(self.published()))

    def save_adapter(self, folder: Path, name: str) -> None:
        folder.mkdir()
        tensors = {}
        for path, _ in self.changed():
            for part, made in (("A", self.first), ("B", self.second)):
                tensors[f"base_model.model.{path}.lora_{part}.weight"] = made[
                    self.key(path, name)
                ].data
        safetensors.torch.save_file(tensors, str(folder / "adapter_model.safetensors"))
        told = {"peft_type": "LORA", "r": self.ranks[name], "lora_alpha": self.alpha}
        (folder / "adapter_config.json").write_text(json.dumps(told))

    def published(self) -> dict[str, Any]:
        """config.json as published, with the one field more that says how small it is."""
        told = self.inner.config.to_dict()
        vision, audio = told.pop("vision_config"), told.pop("audio_config")
        rope = told.pop("rope_parameters")
        if rope["rope_type"] == "longrope":
            told["rope_scaling"] = {"type": "longrope", "short_factor": rope["short_factor"],
                                    "long_factor": rope["long_factor"]}  # fmt: skip
        told |= {name: rope[name] for name in ("rope_theta", "partial_rotary_factor")}
        conformer = {
            "attention_dim": audio["hidden_size"], "attention_heads": audio["num_attention_heads"],
            "linear_units": audio["intermediate_size"], "num_blocks": audio["num_blocks"],
            "input_size": audio["input_size"], "kernel_size": audio["kernel_size"],
            "time_reduction": audio["time_reduction"], "chunk_size": -1, "left_chunk": 18,
            "ext_pw_out_channel": audio["ext_pw_out_channel"], "ext_pw_kernel_size": 1,
            "depthwise_multiplier": audio["depthwise_multiplier"], "activation": "swish",
            "depthwise_seperable_out_channel": audio["depthwise_separable_out_channel"],
            "conv_activation": "swish", "conv_glu_type": "swish", "input_layer": "nemo_conv",
            "batch_norm": False, "bias_in_glu": True, "causal": True, "cnn_layer_norm": True,
            "nemo_conv_settings": {"conv_channels": audio["nemo_conv_channels"]},
            "relative_attention_bias_args": {
                "t5_bias_max_distance": audio["bias_max_distance"], "type": "t5",
            },
            "encoder_embedding_config": {"input_size": audio["input_size"]},
        }  # fmt: skip
        return told | {
            "architectures": ["Phi4MMForCausalLM"], "model_type": "phi4mm",
            "img_processor": None, "vision_config": vision,
            "audio_processor": {"name": "cascades", "config": conformer},
            "embd_layer": {
                "embedding_cls": "image_audio",
                "image_embd_layer": IMAGES | {"crop_size": vision["crop_size"]},
                "audio_embd_layer": SOUNDS | {"compression_rate": audio["time_reduction"]},
            },
            **{f"{name}_lora": {"r": rank, "lora_alpha": self.alpha, "dp": 0.0}
               for name, rank in self.ranks.items()},
        }  # fmt: skip


def published(path: str) -> str:
    for theirs, ours in RENAMED:
        path = path.replace(theirs, ours)
    if ".encoders." in path:
        path = path.replace(".gate_up_proj", ".net.0.linear").replace(".down_proj", ".net.2")
        for theirs, ours in (("q_proj", "linear_q"), ("k_proj", "linear_k"), ("v_proj", "linear_v"),
                             ("o_proj", "linear_out")):  # fmt: skip
            path = path.replace(f"self_attn.{theirs}", f"self_attn.{ours}")
    return path


def model(
    text: dict[str, Any], vision: dict[str, Any], audio: dict[str, Any], ids: dict[str, int],
    ranks: tuple[int, ...], *, folders: bool = False,
) -> Phi4:  # fmt: skip
    hidden = audio.get("hidden_size", 32)
    config = transformers.Phi4MultimodalConfig(
        vision_config=transformers.Phi4MultimodalVisionConfig(
            **{"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
               "num_attention_heads": 4, "image_size": 56, "crop_size": 56,
               "image_token_id": ids["<|endoftext10|>"]} | vision
        ),
        audio_config=transformers.Phi4MultimodalAudioConfig(
            **{"hidden_size": 32, "intermediate_size": 48, "num_blocks": 2,
               "num_attention_heads": 4, "ext_pw_out_channel": hidden,
               "depthwise_separable_out_channel": hidden, "nemo_conv_channels": 8,
               "audio_token_id": ids["<|endoftext11|>"]} | audio
        ),
        **text,
    )  # fmt: skip
    return Phi4(config, ranks, alpha=12, folders=folders)


def images(items: list[Any], patch: int) -> dict[str, Tensor]:
    """What transformers' image processor gives of several, from the items' arrays."""
    pixels = [torch.from_numpy(item.arrays["pixels"]) for item in items]
    most, side = max(map(len, pixels)), pixels[0].shape[-1]
    padded, count = torch.zeros(len(items), most, 3, side, side), side // patch
    masks, sizes = torch.ones(len(items), most, count, count), []
    for item, place, mask, each in zip(items, padded, masks, pixels, strict=True):
        place[: len(each)] = each
        down, across, high, wide = (int(number) for number in item.arrays["grid"])
        whole = torch.zeros(down * count, across * count)
        whole[:high, :wide] = 1
        crops = whole.unflatten(1, (across, count)).unflatten(0, (down, count)).transpose(1, 2)
        mask[1 : len(each)] = crops.flatten(0, 1)
        sizes.append([down * side, across * side])
    return {
        "image_pixel_values": padded, "image_attention_mask": masks,
        "image_sizes": torch.tensor(sizes),
    }  # fmt: skip
