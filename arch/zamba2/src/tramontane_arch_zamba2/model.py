"""Zamba2: layers of Mamba-2, some of which first go through one of a few transformer blocks that
they share, each with small matrices of its own beside the shared ones."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tramontane.blocks import Attention, CausalLM, Linear, Mamba2, RMSNorm, rms_norm, rope_for
from tramontane.engine.batch import Batch

from .config import SHARED, Zamba2Config


class Adapter(nn.Module):
    """up(down(x)), (tokens, inputs) -> (tokens, outputs)."""

    def __init__(self, inputs: int, rank: int, outputs: int) -> None:
        super().__init__()
        self.down, self.up = Linear(inputs, rank), Linear(rank, outputs)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.up(self.down(x))
        return out


class SharedBlockAttention(Attention):
    """Attention over vectors of twice the width, (tokens, 2 * hidden) -> (tokens, hidden)."""

    def __init__(self, cfg: Zamba2Config, index: int) -> None:
        rope = rope_for(cfg) if cfg.use_mem_rope else None
        super().__init__(cfg, index, rope=rope, scale=(cfg.head_dim / 2) ** -0.5)
        hidden, wide = cfg.hidden_size, 2 * cfg.hidden_size
        kv_wide = cfg.num_key_value_heads * cfg.head_dim
        self.q_proj, self.o_proj = Linear(wide, wide), Linear(wide, hidden)
        self.k_proj, self.v_proj = Linear(wide, kv_wide), Linear(wide, kv_wide)
        self.adapted = cfg.use_shared_attention_adapter
        if self.adapted:
            self.q_adapter = Adapter(wide, cfg.adapter_rank, wide)
            self.k_adapter = Adapter(wide, cfg.adapter_rank, kv_wide)
            self.v_adapter = Adapter(wide, cfg.adapter_rank, kv_wide)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = super().project(x)
        if not self.adapted:
            return q, k, v
        return q + self.q_adapter(x), k + self.k_adapter(x), v + self.v_adapter(x)

    def share(self, other: "SharedBlockAttention") -> None:
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            setattr(self, name, getattr(other, name))


class SharedBlockMLP(nn.Module):
    """down(gelu(gate(x)) * up(x)), gate and up with small matrices beside them that have the first
    of the two in common; (tokens, hidden) -> (tokens, hidden)."""

    def __init__(self, cfg: Zamba2Config) -> None:
        super().__init__()
        hidden, wide, bias = cfg.hidden_size, cfg.intermediate_size, cfg.add_bias_linear
        self.gate_proj = Linear(hidden, wide, bias=bias)
        self.up_proj = Linear(hidden, wide, bias=bias)
        self.down_proj = Linear(wide, hidden, bias=bias)
        self.adapter = Linear(hidden, cfg.adapter_rank)
        self.gate_adapter = Linear(cfg.adapter_rank, wide)
        self.up_adapter = Linear(cfg.adapter_rank, wide)

    def forward(self, x: Tensor) -> Tensor:
        small = self.adapter(x)
        gate = self.gate_proj(x) + self.gate_adapter(small)
        up = self.up_proj(x) + self.up_adapter(small)
        out: Tensor = self.down_proj(F.gelu(gate) * up)
        return out

    def share(self, other: "SharedBlockMLP") -> None:
        for name in ("gate_proj", "up_proj", "down_proj"):
            setattr(self, name, getattr(other, name))


class SharedBlock(nn.Module):
    """mlp(norm(attention(norm(x)))), without residuals; (tokens, 2 * hidden) -> (tokens,
    hidden)."""

    def __init__(self, cfg: Zamba2Config, index: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(2 * cfg.hidden_size, cfg.rms_norm_eps)
        self.self_attn = SharedBlockAttention(cfg, index)
        self.pre_ff_layernorm = rms_norm(cfg)
        self.feed_forward = SharedBlockMLP(cfg)

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        x = self.self_attn(self.input_layernorm(x), batch)
        out: Tensor = self.feed_forward(self.pre_ff_layernorm(x))
        return out

    def share(self, other: "SharedBlock") -> None:
        """Take all of another block's but what each layer has by itself."""
        self.input_layernorm, self.pre_ff_layernorm = other.input_layernorm, other.pre_ff_layernorm
        self.self_attn.share(other.self_attn)
        self.feed_forward.share(other.feed_forward)


class MambaLayer(nn.Module):
    """x + mamba(norm(x + more)); (tokens, hidden) -> (tokens, hidden)."""

    def __init__(self, cfg: Zamba2Config, index: int) -> None:
        super().__init__()
        self.input_layernorm = rms_norm(cfg)
        self.mamba = Mamba2(cfg.hidden_size, index, **cfg.mixer() | {"eps": 1e-5})

    def forward(self, x: Tensor, batch: Batch, more: Tensor | None = None) -> Tensor:
        seen = x if more is None else x + more
        out: Tensor = x + self.mamba(self.input_layernorm(seen), batch)
        return out


class HybridLayer(nn.Module):
    """A layer whose mixer sees, beside x, what a shared block makes of x and of the embedding."""

    def __init__(self, cfg: Zamba2Config, index: int) -> None:
        super().__init__()
        self.shared_transformer = SharedBlock(cfg, index)
        self.linear = Linear(cfg.hidden_size, cfg.hidden_size)
        self.mamba_decoder = MambaLayer(cfg, index)

    def forward(self, x: Tensor, batch: Batch, first: Tensor) -> Tensor:
        more = self.linear(self.shared_transformer(torch.cat((x, first), -1), batch))
        out: Tensor = self.mamba_decoder(x, batch, more)
        return out


def layer(cfg: Zamba2Config, index: int) -> nn.Module:
    kind = HybridLayer if cfg.layer_types[index] == SHARED else MambaLayer
    return kind(cfg, index)


class Zamba2(CausalLM):
    Layer = staticmethod(layer)
    cfg: Zamba2Config

    def __init__(self, cfg: Zamba2Config) -> None:
        super().__init__(cfg)
        blocks: list[SharedBlock] = [
            self.model.get_submodule(f"layers.{index}.shared_transformer")  # type: ignore[misc]
            for index in cfg.hybrid
        ]
        for turn, block in enumerate(blocks[cfg.num_mem_blocks :]):
            block.share(blocks[turn % cfg.num_mem_blocks])

    def forward(self, tokens: Tensor, batch: Batch) -> Tensor:
        x = first = self.embed(tokens, batch)
        for each in self.model.layers:
            x = each(x, batch, first) if isinstance(each, HybridLayer) else each(x, batch)
        return self.logits(self.model.norm(x[batch.wanted]))
