"""Tiny FLUX.1 models in all forms that its files come in, with the same weights wherever they are
written: numpy's old generator, whose numbers are fixed for good."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import torch
from safetensors.torch import save_file
from tokenizers import models, pre_tokenizers, processors
from torch import Tensor

HEADS, HEAD, WIDE, LATENT, LAYERS = 2, 32, 64, 4, 2
HIDDEN = HEADS * HEAD
CHANNELS = (8, 8, 16, 32)
BOS, EOS = 298, 299
TRANSFORMER: dict[str, Any] = {
    "_class_name": "FluxTransformer2DModel", "patch_size": 1, "in_channels": 4 * LATENT,
    "num_layers": LAYERS, "num_single_layers": LAYERS, "attention_head_dim": HEAD,
    "num_attention_heads": HEADS, "joint_attention_dim": WIDE, "pooled_projection_dim": WIDE,
    "axes_dims_rope": [4, 14, 14],
}  # fmt: skip
VAE: dict[str, Any] = {
    "_class_name": "AutoencoderKL", "in_channels": 3, "out_channels": 3,
    "down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4,
    "block_out_channels": list(CHANNELS), "layers_per_block": 1, "norm_num_groups": 4,
    "latent_channels": LATENT, "use_quant_conv": False, "use_post_quant_conv": False,
    "shift_factor": 0.1159, "scaling_factor": 0.3611,
}  # fmt: skip
T5: dict[str, Any] = {
    "architectures": ["T5EncoderModel"], "model_type": "t5", "vocab_size": 300, "d_model": WIDE,
    "d_kv": 16, "d_ff": 96, "num_layers": LAYERS, "num_heads": 4, "pad_token_id": 0,
    "eos_token_id": 1, "feed_forward_proj": "gated-gelu", "is_encoder_decoder": False,
}  # fmt: skip
CLIP: dict[str, Any] = {
    "architectures": ["CLIPTextModel"], "model_type": "clip_text_model", "vocab_size": 300,
    "hidden_size": WIDE, "intermediate_size": 96, "num_hidden_layers": LAYERS,
    "num_attention_heads": 1, "projection_dim": WIDE, "bos_token_id": BOS, "eos_token_id": EOS,
    "pad_token_id": EOS, "max_position_embeddings": 77, "hidden_act": "quick_gelu",
}  # fmt: skip
SCHEDULE: dict[str, Any] = {
    "_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 1.0,
    "use_dynamic_shifting": False, "base_shift": 0.5, "max_shift": 1.15,
    "base_image_seq_len": 256, "max_image_seq_len": 4096,
}  # fmt: skip
DEV = {"shift": 3.0, "use_dynamic_shifting": True}
Shapes = Iterator[tuple[str, tuple[int, ...]]]


def _linear(name: str, n_in: int, n_out: int, *, bias: bool = True) -> Shapes:
    yield f"{name}.weight", (n_out, n_in)
    if bias:
        yield f"{name}.bias", (n_out,)


def transformer_shapes(guided: bool) -> Shapes:
    """diffusers' names and shapes."""
    h = HIDDEN
    yield from _linear("x_embedder", 4 * LATENT, h)
    yield from _linear("context_embedder", WIDE, h)
    kinds = [("timestep", 256), ("text", WIDE)] + [("guidance", 256)] * guided
    for kind, wide in kinds:
        yield from _linear(f"time_text_embed.{kind}_embedder.linear_1", wide, h)
        yield from _linear(f"time_text_embed.{kind}_embedder.linear_2", h, h)
    for i in range(LAYERS):
        at = f"transformer_blocks.{i}"
        for stream in ("", "_context"):
            yield from _linear(f"{at}.norm1{stream}.linear", h, 6 * h)
            yield from _linear(f"{at}.ff{stream}.net.0.proj", h, 4 * h)
            yield from _linear(f"{at}.ff{stream}.net.2", 4 * h, h)
        for name in ("to_q", "to_k", "to_v", "add_q_proj", "add_k_proj", "add_v_proj",
                     "to_out.0", "to_add_out"):  # fmt: skip
            yield from _linear(f"{at}.attn.{name}", h, h)
        for name in ("norm_q", "norm_k", "norm_added_q", "norm_added_k"):
            yield f"{at}.attn.{name}.weight", (HEAD,)
    for i in range(LAYERS):
        at = f"single_transformer_blocks.{i}"
        yield from _linear(f"{at}.norm.linear", h, 3 * h)
        yield from _linear(f"{at}.proj_mlp", h, 4 * h)
        yield from _linear(f"{at}.proj_out", 5 * h, h)
        for name in ("to_q", "to_k", "to_v"):
            yield from _linear(f"{at}.attn.{name}", h, h)
        for name in ("norm_q", "norm_k"):
            yield f"{at}.attn.{name}.weight", (HEAD,)
    yield from _linear("norm_out.linear", h, 2 * h)
    yield from _linear("proj_out", h, 4 * LATENT)


def _conv(name: str, n_in: int, n_out: int, size: int = 3) -> Shapes:
    yield f"{name}.weight", (n_out, n_in, size, size)
    yield f"{name}.bias", (n_out,)


def _norm(name: str, wide: int) -> Shapes:
    yield f"{name}.weight", (wide,)
    yield f"{name}.bias", (wide,)


def _resnet(name: str, n_in: int, n_out: int) -> Shapes:
    yield from _norm(f"{name}.norm1", n_in)
    yield from _conv(f"{name}.conv1", n_in, n_out)
    yield from _norm(f"{name}.norm2", n_out)
    yield from _conv(f"{name}.conv2", n_out, n_out)
    if n_in != n_out:
        yield from _conv(f"{name}.conv_shortcut", n_in, n_out, 1)


def vae_shapes() -> Shapes:
    """diffusers' names and shapes."""
    for coder, blocks, sampler in (("encoder", "down_blocks", "downsamplers"),
                                   ("decoder", "up_blocks", "upsamplers")):  # fmt: skip
        up = coder == "decoder"
        wide = list(reversed(CHANNELS)) if up else list(CHANNELS)
        yield from _conv(f"{coder}.conv_in", LATENT if up else 3, wide[0])
        for i, each in enumerate(wide):
            for j in range(1 + up):
                before = wide[max(i - 1, 0)] if j == 0 else each
                yield from _resnet(f"{coder}.{blocks}.{i}.resnets.{j}", before, each)
            if i < len(wide) - 1:
                yield from _conv(f"{coder}.{blocks}.{i}.{sampler}.0.conv", each, each)
        middle = f"{coder}.mid_block"
        for j in range(2):
            yield from _resnet(f"{middle}.resnets.{j}", CHANNELS[-1], CHANNELS[-1])
        yield from _norm(f"{middle}.attentions.0.group_norm", CHANNELS[-1])
        for name in ("to_q", "to_k", "to_v", "to_out.0"):
            yield from _linear(f"{middle}.attentions.0.{name}", CHANNELS[-1], CHANNELS[-1])
        yield from _norm(f"{coder}.conv_norm_out", wide[-1])
        yield from _conv(f"{coder}.conv_out", wide[-1], 3 if up else 2 * LATENT)


def t5_shapes() -> Shapes:
    """transformers' names and shapes."""
    yield "shared.weight", (T5["vocab_size"], WIDE)
    inner = T5["num_heads"] * T5["d_kv"]
    for i in range(LAYERS):
        at = f"encoder.block.{i}.layer"
        for name in "qkv":
            yield from _linear(f"{at}.0.SelfAttention.{name}", WIDE, inner, bias=False)
        yield from _linear(f"{at}.0.SelfAttention.o", inner, WIDE, bias=False)
        yield f"{at}.0.layer_norm.weight", (WIDE,)
        for name in ("wi_0", "wi_1"):
            yield from _linear(f"{at}.1.DenseReluDense.{name}", WIDE, T5["d_ff"], bias=False)
        yield from _linear(f"{at}.1.DenseReluDense.wo", T5["d_ff"], WIDE, bias=False)
        yield f"{at}.1.layer_norm.weight", (WIDE,)
    yield "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", (32, 4)
    yield "encoder.final_layer_norm.weight", (WIDE,)


def clip_shapes() -> Shapes:
    """transformers' names and shapes."""
    yield "text_model.embeddings.token_embedding.weight", (CLIP["vocab_size"], WIDE)
    yield "text_model.embeddings.position_embedding.weight", (77, WIDE)
    for i in range(LAYERS):
        at = f"text_model.encoder.layers.{i}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield from _linear(f"{at}.self_attn.{name}", WIDE, WIDE)
        yield from _norm(f"{at}.layer_norm1", WIDE)
        yield from _norm(f"{at}.layer_norm2", WIDE)
        yield from _linear(f"{at}.mlp.fc1", WIDE, 96)
        yield from _linear(f"{at}.mlp.fc2", 96, WIDE)
    yield from _norm("text_model.final_layer_norm", WIDE)


def drawn(shapes: Shapes, seed: int) -> dict[str, Tensor]:
    """Weights of about 0.7 / sqrt(what goes in), vectors around 1 (norms) or 0 (biases)."""
    state = np.random.RandomState(seed)
    found = {}
    for name, shape in shapes:
        numbers = state.standard_normal(shape).astype(np.float32)
        if len(shape) == 1:
            numbers = 0.1 * numbers + (name.endswith("weight"))
        else:
            numbers = numbers * np.float32(0.7 / math.sqrt(math.prod(shape[1:])))
        found[name] = torch.from_numpy(numbers)
    return found


def parts(guided: bool) -> dict[str, dict[str, Tensor]]:
    """The tensors of each part, by its folder."""
    return {
        "transformer": drawn(transformer_shapes(guided), 1),
        "vae": drawn(vae_shapes(), 2),
        "text_encoder": drawn(clip_shapes(), 3),
        "text_encoder_2": drawn(t5_shapes(), 4),
    }


def by_their_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """diffusers' tensors of the transformer under Black Forest Labs' names."""
    left, found = dict(tensors), {}

    def joined(to: str, *names: str) -> None:
        for end in ("weight", "bias"):
            found[f"{to}.{end}"] = torch.cat([left.pop(f"{name}.{end}") for name in names])

    for ours, theirs in (("x_embedder", "img_in"), ("context_embedder", "txt_in"),
                         ("proj_out", "final_layer.linear")):  # fmt: skip
        joined(theirs, ours)
    for kind, short in (("timestep", "time"), ("guidance", "guidance"), ("text", "vector")):
        for number, side in ((1, "in"), (2, "out")):
            name = f"time_text_embed.{kind}_embedder.linear_{number}"
            if f"{name}.weight" in left:
                joined(f"{short}_in.{side}_layer", name)
    for end in ("weight", "bias"):  # scale and shift change places
        scale, shift = left.pop(f"norm_out.linear.{end}").chunk(2)
        found[f"final_layer.adaLN_modulation.1.{end}"] = torch.cat((shift, scale))
    for i in range(LAYERS):
        at, to = f"transformer_blocks.{i}", f"double_blocks.{i}"
        for short, norm, qkv, out, ff, key in (
            ("img", "norm1", ("to_q", "to_k", "to_v"), "to_out.0", "ff", "norm_{}"),
            ("txt", "norm1_context", ("add_q_proj", "add_k_proj", "add_v_proj"), "to_add_out",
             "ff_context", "norm_added_{}"),
        ):  # fmt: skip
            joined(f"{to}.{short}_mod.lin", f"{at}.{norm}.linear")
            joined(f"{to}.{short}_attn.qkv", *(f"{at}.attn.{each}" for each in qkv))
            joined(f"{to}.{short}_attn.proj", f"{at}.attn.{out}")
            joined(f"{to}.{short}_mlp.0", f"{at}.{ff}.net.0.proj")
            joined(f"{to}.{short}_mlp.2", f"{at}.{ff}.net.2")
            for letter, word in (("q", "query"), ("k", "key")):
                name = f"{at}.attn.{key.format(letter)}.weight"
                found[f"{to}.{short}_attn.norm.{word}_norm.scale"] = left.pop(name)
        at, to = f"single_transformer_blocks.{i}", f"single_blocks.{i}"
        joined(f"{to}.modulation.lin", f"{at}.norm.linear")
        joined(f"{to}.linear1", *(f"{at}.{each}" for each in
                                  ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp")))  # fmt: skip
        joined(f"{to}.linear2", f"{at}.proj_out")
        for letter, word in (("q", "query"), ("k", "key")):
            found[f"{to}.norm.{word}_norm.scale"] = left.pop(f"{at}.attn.norm_{letter}.weight")
    assert not left, left.keys()
    return found


def vae_by_their_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """diffusers' tensors of the autoencoder as in `ae.safetensors`."""
    found = {}
    for name, tensor in tensors.items():
        for i in range(len(CHANNELS)):
            name = name.replace(f"decoder.up_blocks.{i}.", f"decoder.up.{len(CHANNELS) - 1 - i}.")
        for ours, theirs in (
            ("encoder.down_blocks.", "encoder.down."), (".resnets.", ".block."),
            ("mid_block.block.0.", "mid.block_1."), ("mid_block.block.1.", "mid.block_2."),
            ("mid_block.attentions.0.group_norm", "mid.attn_1.norm"),
            ("mid_block.attentions.0.to_out.0", "mid.attn_1.proj_out"),
            ("mid_block.attentions.0.to_", "mid.attn_1."), ("conv_norm_out", "norm_out"),
            (".conv_shortcut.", ".nin_shortcut."), (".downsamplers.0.", ".downsample."),
            (".upsamplers.0.", ".upsample."),
        ):  # fmt: skip
            name = name.replace(ours, theirs)
        is_matrix = ".attn_1." in name and tensor.dim() == 2
        found[name] = tensor[:, :, None, None].contiguous() if is_matrix else tensor
    return found


def write_folder(folder: Path, *, guided: bool = True, schedule: Mapping[str, Any] = {}) -> Path:
    """A diffusers folder; guided: as dev is, or as schnell. schedule: values of the schedule."""
    index = {
        "_class_name": "FluxPipeline", "_diffusers_version": "0.42.1",
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "text_encoder_2": ["transformers", "T5EncoderModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "tokenizer_2": ["transformers", "T5TokenizerFast"],
        "transformer": ["diffusers", "FluxTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }  # fmt: skip
    configs = {"transformer": {**TRANSFORMER, "guidance_embeds": guided}, "vae": VAE,
               "text_encoder": CLIP, "text_encoder_2": T5}  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    _json(folder / "model_index.json", index)
    for name, tensors in parts(guided).items():
        (folder / name).mkdir()
        _json(folder / name / "config.json", configs[name])
        stem = "model" if name.startswith("text") else "diffusion_pytorch_model"
        save_file(tensors, folder / name / f"{stem}.safetensors", {"format": "pt"})
    (folder / "scheduler").mkdir()
    told = {**SCHEDULE, **(DEV if guided else {}), **schedule}
    _json(folder / "scheduler" / "scheduler_config.json", told)
    write_tokenizers(folder)
    return folder


def write_tokenizers(folder: Path) -> None:
    """CLIP's in vocab.json and merges.txt, as published, and T5's in tokenizer.json."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    (folder / "tokenizer").mkdir()
    clip = {letter: i for i, letter in enumerate(alphabet)}
    clip |= {"<|startoftext|>": BOS, "<|endoftext|>": EOS}
    clip |= {f"{letter}</w>": 260 + i for i, letter in enumerate("aeinortdswxy.,")}
    clip |= {"re": 280, "red</w>": 281}
    _json(folder / "tokenizer" / "vocab.json", clip)
    (folder / "tokenizer" / "merges.txt").write_text("#version: 0.2\nr e\nre d</w>\n")
    _json(folder / "tokenizer" / "tokenizer_config.json", {
        "tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>", "unk_token": "<|endoftext|>",
    })  # fmt: skip
    (folder / "tokenizer_2").mkdir()
    pieces = [(piece, 0.0) for piece in ("<pad>", "</s>", "<unk>")]
    letters = (chr(code) for code in (0x2581, *range(33, 127), 0xFC, 0xF6))
    pieces += [(letter, -float(3 + i % 7)) for i, letter in enumerate(letters)]
    inner = tokenizers.Tokenizer(models.Unigram([*pieces, ("\u2581a", -2.0)], 2))
    inner.pre_tokenizer = pre_tokenizers.Metaspace()  # type: ignore[assignment]
    inner.add_special_tokens(["<pad>", "</s>", "<unk>"])
    template = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    inner.post_processor = template  # type: ignore[assignment]
    inner.save(str(folder / "tokenizer_2" / "tokenizer.json"))
    _json(folder / "tokenizer_2" / "tokenizer_config.json", {
        "tokenizer_class": "T5TokenizerFast", "model_max_length": 512, "eos_token": "</s>",
        "pad_token": "<pad>", "unk_token": "<unk>",
    })  # fmt: skip


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")
