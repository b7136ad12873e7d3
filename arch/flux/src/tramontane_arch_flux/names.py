"""What the tensors are called in the files that FLUX.1 comes in, as rules to this package's names.

diffusers' folders, and Black Forest Labs' own files, whose names GGUF files of the transformer have
too.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from tramontane.checkpoint.rules import Join, Kept, Rename, Rule, Skip, Split
from tramontane.layouts import Dense, Layout

from .config import FluxConfig, VaeConfig

STREAMS = {
    "image": ("norm1", "to_q", "to_k", "to_v", "norm_q", "norm_k", "to_out.0", "ff"),
    "text": ("norm1_context", "add_q_proj", "add_k_proj", "add_v_proj", "norm_added_q",
             "norm_added_k", "to_add_out", "ff_context"),
}  # fmt: skip
"""diffusers' names in a double layer: modulation, q, k, v, their norms, the output, the MLP."""


@dataclass(frozen=True)
class Matrix(Kept):
    """A convolution of one pixel, (n_out, n_in, 1, 1), as the matrix that it is."""

    pattern: str

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        if isinstance(layout, Dense) and len(layout.shape) == 4:
            return Dense(layout.data.flatten(1))
        return layout


@dataclass(frozen=True)
class SwapHalves(Kept):
    """The second half of the rows before the first: of shift and scale, scale and shift."""

    pattern: str

    def change(self, layout: Layout, path: str, model: nn.Module) -> Layout:
        rows = layout.shape[0]
        if rows % 2:
            raise ValueError(f"{rows} rows have no halves")
        order = torch.arange(rows).roll(rows // 2)
        if len(layout.shape) == 1:
            return Dense(layout.decode(torch.float32)[order])
        return layout.rows(order)


def _diffusers() -> list[Rule]:
    rules: list[Rule] = [Rename("time_text_embed.*", "conditions.*")]
    for stream, (norm, q, k, v, norm_q, norm_k, out, ff) in STREAMS.items():
        ours, theirs = f"transformer_blocks.*.{stream}", "transformer_blocks.*"
        rules += [
            Rename(f"{theirs}.{norm}.linear", f"{ours}.modulation"),
            *(Join(f"{theirs}.attn.{each}", f"{ours}.qkv", place)
              for place, each in enumerate((q, k, v))),
            Rename(f"{theirs}.attn.{norm_q}", f"{ours}.norm_q"),
            Rename(f"{theirs}.attn.{norm_k}", f"{ours}.norm_k"),
            Rename(f"{theirs}.attn.{out}", f"{ours}.out"),
            Rename(f"{theirs}.{ff}.net.0.proj", f"{ours}.up"),
            Rename(f"{theirs}.{ff}.net.2", f"{ours}.down"),
        ]  # fmt: skip
    return [*rules, Rename("norm_out.linear", "norm_out")]


def _single() -> list[Rule]:
    one = "single_transformer_blocks.*"
    return [
        Rename(f"{one}.norm.linear", f"{one}.modulation"),
        *(Join(f"{one}.attn.{each}", f"{one}.qkv", place)
          for place, each in enumerate(("to_q", "to_k", "to_v"))),
        Rename(f"{one}.attn.norm_q", f"{one}.norm_q"),
        Rename(f"{one}.attn.norm_k", f"{one}.norm_k"),
        Rename(f"{one}.proj_mlp", f"{one}.up"),
        Rename(f"{one}.proj_out", f"{one}.out"),
    ]  # fmt: skip


def _flux() -> list[Rule]:
    """Black Forest Labs' names of the transformer."""
    rules: list[Rule] = [
        Rename("img_in", "x_embedder"),
        Rename("txt_in", "context_embedder"),
        Rename("final_layer.linear", "proj_out"),
        Rename("final_layer.adaLN_modulation.1", "norm_out"),
        SwapHalves("norm_out"),
    ]
    embedders = ("time_in", "timestep"), ("guidance_in", "guidance"), ("vector_in", "text")
    for theirs, ours in embedders:
        for layer, number in (("in_layer", 1), ("out_layer", 2)):
            rules.append(Rename(f"{theirs}.{layer}", f"conditions.{ours}_embedder.linear_{number}"))
    for stream, short in (("image", "img"), ("text", "txt")):
        ours = f"transformer_blocks.*.{stream}"
        for name, to in (
            ("mod.lin", "modulation"), ("attn.qkv", "qkv"), ("attn.proj", "out"),
            ("mlp.0", "up"), ("mlp.2", "down"),
        ):  # fmt: skip
            rules.append(Rename(f"double_blocks.*.{short}_{name}", f"{ours}.{to}"))
        for each, to in (("query", "q"), ("key", "k")):
            theirs = f"double_blocks.*.{short}_attn.norm.{each}_norm.scale"
            rules.append(Rename(theirs, f"{ours}.norm_{to}.weight"))
    one = "single_transformer_blocks.*"
    return [
        *rules,
        Rename("single_blocks.*.modulation.lin", f"{one}.modulation"),
        Rename("single_blocks.*.norm.query_norm.scale", f"{one}.norm_q.weight"),
        Rename("single_blocks.*.norm.key_norm.scale", f"{one}.norm_k.weight"),
        Rename("single_blocks.*.linear2", f"{one}.out"),
        Rename("single_blocks.*.linear1", f"{one}.linear1"),
        Split(f"{one}.linear1", ("qkv", "up")),
    ]


def transformer_rules(cfg: FluxConfig) -> dict[str, list[Rule]]:
    return {"hf": [*_diffusers(), *_single()], "file": _flux(), "gguf": _flux()}


def vae_rules(cfg: VaeConfig) -> dict[str, list[Rule]]:
    levels = len(cfg.block_out_channels)
    turned = [
        Rename(f"decoder.up.{index}.*", f"decoder.up_blocks.{levels - 1 - index}.*")
        for index in range(levels)
    ]
    middle = "coder.mid"
    return {
        "hf": [
            *(Rename(f"*.attentions.0.{old}", f"*.attentions.0.{new}") for old, new in (
                ("query", "to_q"), ("key", "to_k"), ("value", "to_v"), ("proj_attn", "to_out"),
                ("to_out.0", "to_out"),
            )),
        ],
        "file": [
            Skip("loss.*"),
            *turned,
            Rename("encoder.down.*", "encoder.down_blocks.*"),
            Rename("*_blocks.*.block.*", "*_blocks.*.resnets.*"),
            Rename("*_blocks.*.downsample.conv", "*_blocks.*.downsamplers.0.conv"),
            Rename("*_blocks.*.upsample.conv", "*_blocks.*.upsamplers.0.conv"),
            Rename(f"*{middle}.block_1.*", f"*{middle}_block.resnets.0.*"),
            Rename(f"*{middle}.block_2.*", f"*{middle}_block.resnets.1.*"),
            *(Rename(f"*{middle}.attn_1.{old}", f"*{middle}_block.attentions.0.{new}")
              for old, new in (("norm", "group_norm"), ("q", "to_q"), ("k", "to_k"),
                               ("v", "to_v"), ("proj_out", "to_out"))),
            Rename("*.nin_shortcut", "*.conv_shortcut"),
            Rename("*.norm_out", "*.conv_norm_out"),
            Matrix("*.attentions.0.to_*"),
        ],
    }  # fmt: skip


T5_RULES: list[Rule] = [
    Rename("shared", "embed_tokens"),
    Rename("encoder.block.0.layer.0.SelfAttention.relative_attention_bias", "biases"),
    *(Rename(f"encoder.block.*.layer.0.SelfAttention.{each}", f"layers.*.{each}")
      for each in ("q", "k", "v", "o")),
    Rename("encoder.block.*.layer.0.layer_norm", "layers.*.norm"),
    Rename("encoder.block.*.layer.1.layer_norm", "layers.*.mlp_norm"),
    *(Rename(f"encoder.block.*.layer.1.DenseReluDense.{each}", f"layers.*.{each}")
      for each in ("wi_0", "wi_1", "wo")),
    Rename("encoder.final_layer_norm", "norm"),
    Skip("encoder.embed_tokens"),
]  # fmt: skip
CLIP_RULES: list[Rule] = [
    Rename("text_model.*", "*"),
    Skip("embeddings.position_ids"),
    Skip("text_projection"),
    Skip("logit_scale"),
]
T5_WEIGHTS = {"hf": T5_RULES, "file": [*T5_RULES, Skip("spiece_model"), Skip("logit_scale")]}
CLIP_WEIGHTS = {"hf": CLIP_RULES, "file": CLIP_RULES}
