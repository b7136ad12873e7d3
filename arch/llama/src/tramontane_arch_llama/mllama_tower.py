"""Llama 3.2 Vision's encoder: the tiles of an image side by side, then layers with gates.

What it gives of a patch is the last layer's output and those of some layers before the gated ones.
There are always max_num_tiles tiles, of which the last may be empty. Rows of empty tiles, and those
that fill each tile up to a multiple of eight, see the others alone; but those see them, so they
count.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tramontane.blocks import LayerNorm, Linear
from tramontane.blocks.vision import Patches, Positions, VisionLayers, VisionMLP, patches_of

from .mllama_config import MllamaVisionConfig

MULTIPLE = 8


def gate() -> nn.Parameter:
    """A number whose tanh is a factor."""
    return nn.Parameter(torch.empty(1), requires_grad=False)


class TileEmbedding(nn.Module):
    """A vector of each tile, by the arrangement of tiles: x (tiles, rows, hidden) -> the same.
    Tensors: embedding (arrangements + 1, tiles * hidden), gate."""

    def __init__(self, cfg: MllamaVisionConfig) -> None:
        super().__init__()
        ways = len(cfg.supported_aspect_ratios) + 1
        self.embedding = Positions(ways, cfg.max_num_tiles * cfg.hidden_size)
        self.gate = gate()

    def forward(self, x: Tensor, way: int) -> Tensor:
        vectors = self.embedding.weight[way].view(len(x), 1, -1)
        return x + vectors * self.gate.tanh()


class GatedPositions(nn.Module):
    """A vector of each row of a tile, and one of each row of each tile: x (tiles, rows, hidden) ->
    the same. Tensors: embedding (rows, hidden), tile_embedding (arrangements + 1, tiles * rows *
    hidden), gate."""

    def __init__(self, cfg: MllamaVisionConfig) -> None:
        super().__init__()
        rows, ways = cfg.side**2 + 1, len(cfg.supported_aspect_ratios) + 1
        self.embedding = nn.Parameter(torch.empty(rows, cfg.hidden_size), requires_grad=False)
        self.tile_embedding = Positions(ways, cfg.max_num_tiles * rows * cfg.hidden_size)
        self.gate = gate()

    def forward(self, x: Tensor, way: int) -> Tensor:
        share = self.gate.tanh()
        x = x + (1 - share) * self.embedding
        return x + share * self.tile_embedding.weight[way].view(x.shape)


class TileAttention(nn.Module):
    """Attention of rows, (rows, hidden) -> (rows, hidden): those that are an image's see all,
    others see those that are. Tensors: q_proj, k_proj, v_proj, o_proj."""

    def __init__(self, cfg: MllamaVisionConfig) -> None:
        super().__init__()
        self.heads = cfg.attention_heads
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (
            Linear(cfg.hidden_size, cfg.hidden_size) for _ in range(4)
        )

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        q, k, v = (
            project(x).unflatten(-1, (self.heads, -1)).transpose(0, 1)[None]
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed = torch.empty_like(q)
        attend = F.scaled_dot_product_attention
        mixed[:, :, real] = attend(q[:, :, real], k, v)
        mixed[:, :, ~real] = attend(q[:, :, ~real], k[:, :, real], v[:, :, real])
        out: Tensor = self.o_proj(mixed[0].transpose(0, 1).flatten(1))
        return out


class TileLayer(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)); with gates, tanh(gate) times each half.
    Tensors: input_layernorm, self_attn, post_attention_layernorm, mlp, gate_attn, gate_ffn."""

    def __init__(self, cfg: MllamaVisionConfig, *, gated: bool) -> None:
        super().__init__()
        self.input_layernorm = LayerNorm(cfg.hidden_size, cfg.norm_eps)
        self.self_attn = TileAttention(cfg)
        self.post_attention_layernorm = LayerNorm(cfg.hidden_size, cfg.norm_eps)
        self.mlp = VisionMLP(cfg.hidden_size, cfg.intermediate_size, cfg.hidden_act)
        self.gate_attn = gate() if gated else None
        self.gate_ffn = gate() if gated else None

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        mixed = self.self_attn(self.input_layernorm(x), real)
        x = x + (mixed if self.gate_attn is None else self.gate_attn.tanh() * mixed)
        mixed = self.mlp(self.post_attention_layernorm(x))
        out: Tensor = x + (mixed if self.gate_ffn is None else self.gate_ffn.tanh() * mixed)
        return out


class TileTower(nn.Module):
    def __init__(self, cfg: MllamaVisionConfig) -> None:
        super().__init__()
        self.cfg = cfg
        size, hidden = cfg.patch_size, cfg.hidden_size
        self.patch_embedding = Patches(hidden, cfg.num_channels, size, size, bias=False)
        self.class_embedding = nn.Parameter(torch.empty(hidden), requires_grad=False)
        self.gated_positional_embedding = GatedPositions(cfg)
        self.pre_tile_positional_embedding = TileEmbedding(cfg)
        self.post_tile_positional_embedding = TileEmbedding(cfg)
        self.layernorm_pre = LayerNorm(hidden, 1e-5)
        self.layernorm_post = LayerNorm(hidden, 1e-5)
        self.transformer = VisionLayers(
            TileLayer(cfg, gated=False) for _ in range(cfg.num_hidden_layers)
        )
        self.global_transformer = VisionLayers(
            TileLayer(cfg, gated=True) for _ in range(cfg.num_global_layers)
        )

    def steps(self, tiles: Tensor, way: int) -> Iterator[Tensor | None]:
        """tiles: (tiles, 3, side, side), those that are not empty; way: 1 + the number of their
        arrangement -> None after each layer, and last (tiles * (patches + 1), vision_output_dim).
        """
        cfg, count, rows = self.cfg, len(tiles), self.cfg.side**2 + 1
        seen = [self.patch_embedding(patches_of(tile, cfg.patch_size)) for tile in tiles]
        patches = torch.stack(seen)
        patches = F.pad(patches, (0, 0, 0, 0, 0, cfg.max_num_tiles - count))
        patches = self.pre_tile_positional_embedding(patches, way)
        first = self.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
        x = self.gated_positional_embedding(torch.cat((first, patches), 1), way)
        x = F.pad(self.layernorm_pre(x), (0, 0, 0, -rows % MULTIPLE))
        shape, real = x.shape, torch.zeros(x.shape[:2], dtype=torch.bool, device=x.device)
        real[:count, :rows] = True
        x, real = x.flatten(0, 1), real.flatten()
        outputs = []
        for layer in self.transformer.layers:
            x = layer(x, real)
            outputs.append(x[real])
            yield None
        chosen = [outputs[index] for index in cfg.intermediate_layers_indices]
        x = self.post_tile_positional_embedding(self.layernorm_post(x).view(shape), way)
        x = x.flatten(0, 1)
        for layer in self.global_transformer.layers:
            x = layer(x, real)
            yield None
        # of each number, what the layers say one after the other
        yield torch.cat((x[real], torch.stack(chosen, -1).flatten(1)), -1)
