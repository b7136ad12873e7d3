"""How blocks are shared by ranks: each function cuts one, or says that every rank has all of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import nn

from tramontane.blocks import (
    MLP,
    Attention,
    Experts,
    GatedDeltaNet,
    GatedMLP,
    HeadNorm,
    LatentAttention,
    Mamba,
    Mamba2,
    SharedAttention,
)
from tramontane.checkpoint.weight_map import slots

from .cut import Cut
from .cutter import Cutter, times
from .joint import Sum
from .portions import head_portions, portions, wide_portions
from .split_recurrent import channels, delta_net, state_heads

Splitter: TypeAlias = Callable[[Any, str, Cutter], bool]
"""(block, its path, the cutter) -> whether the block was cut."""
OWN = {
    Attention: {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "q_norm", "k_norm", "sinks"},
    GatedMLP: {"gate_proj", "up_proj", "down_proj"},
    MLP: {"up_proj", "down_proj"},
}
"""The parts of blocks that are cut; a subclass with others of the same widths is whole."""


def attention(block: Attention, path: str, cutter: Cutter) -> bool:
    """By key-value heads, with the queries that read them."""
    d_head, step = block.d_head, cutter.step(f"{path}.o_proj")
    if step is None or not has_heads(block):
        return False
    found = head_portions(block.heads, block.kv_heads, d_head, cutter.size, step, cutter.weights)
    if found is None:
        return False
    q, kv = found[cutter.rank]
    for name, run in (
        ("q_proj", q),
        ("k_proj", kv),
        ("v_proj", kv),
        ("gate_proj", q),
        ("o_proj", q),
    ):
        linear = getattr(block, name, None)
        if linear is not None:
            cutter.linear(linear, f"{path}.{name}", times(run, d_head))
    for name, run in (("q_norm", q), ("k_norm", kv)):
        norm = getattr(block, name, None)
        if isinstance(norm, HeadNorm) and norm.weight is not None and norm.weight.dim() == 2:
            for each in ("weight", "bias"):
                cutter.parameter(norm, f"{path}.{name}", each, Cut(rows=(run,)))
    cutter.parameter(block, path, "sinks", Cut(rows=(q,)))
    if block.alibi is not None:
        block.alibi = list(block.alibi)[q.start : q.stop]
    block.heads, block.kv_heads = len(q), len(kv)
    return True


def has_heads(block: Attention) -> bool:
    """Whether each head is computed by itself, without norms or scales of all together."""
    d_head, wide = block.d_head, block.heads * block.d_head
    alike = _by_head(block.q_norm, d_head) and _by_head(block.k_norm, d_head)
    if type(block).project is not Attention.project or not alike:
        return False
    own = _own(block, Attention, wide, block.kv_heads * d_head, block.heads)
    return own and block.o_proj.split is not None and block.q_proj.weight.shape[0] == wide


def latent_attention(block: LatentAttention, path: str, cutter: Cutter) -> bool:
    """By heads; the latents of a token, and their cache, are on every rank."""
    if type(block).forward is not LatentAttention.forward:
        return False
    step = cutter.step(f"{path}.o_proj")
    if step is None:
        return False
    found = head_portions(block.heads, block.heads, block.v_dim, cutter.size, step, cutter.weights)
    if found is None:
        return False
    run = found[cutter.rank].q
    name = "q_b_proj" if block.compressed else "q_proj"
    cutter.linear(getattr(block, name), f"{path}.{name}", times(run, block.d_head))
    cutter.linear(block.o_proj, f"{path}.o_proj", times(run, block.v_dim))
    for name, rows in (("k_b_proj", block.cached[1]), ("v_b_proj", block.v_dim)):
        stacked = getattr(block, name)
        cutter.parameter(stacked, f"{path}.{name}", "weight", Cut(rows=(times(run, rows),)))
        stacked.count = len(run)
    block.heads = len(run)
    return True


def feed_forward(block: GatedMLP | MLP, path: str, cutter: Cutter) -> bool:
    """By columns of what is between its two halves."""
    step, wide = cutter.step(f"{path}.down_proj"), block.down_proj.weight.shape[1]
    own = _own(block, GatedMLP if isinstance(block, GatedMLP) else MLP, wide)
    if not own or block.down_proj.split is None or not _by_number(block):
        return False
    found = None if step is None else wide_portions(wide, cutter.size, step, cutter.weights)
    if found is None:
        return False
    for name in ("gate_proj", "up_proj", "down_proj"):
        linear = getattr(block, name, None)
        if linear is not None:
            cutter.linear(linear, f"{path}.{name}", found[cutter.rank])
    return True


def experts(block: Experts, path: str, cutter: Cutter) -> bool:
    """Each expert by columns, as of a feed-forward half: so ranks have equal work whatever tokens
    choose."""
    if type(block) is not Experts or not _by_number(block):
        return False
    step, wide = cutter.step(f"{path}.down_proj"), block.rows // block.count
    found = None if step is None else wide_portions(wide, cutter.size, step, cutter.weights)
    if found is None:
        return False
    for name in ("gate_proj", "up_proj", "down_proj"):
        stacked = getattr(block, name)
        if stacked is not None:
            cutter.linear(stacked, f"{path}.{name}", found[cutter.rank], count=block.count)
    block.rows = block.count * len(found[cutter.rank])
    block.joint = Sum(cutter.group)
    return True


def head(block: Any, path: str, cutter: Cutter) -> bool:
    """The vocabulary, by ids."""
    rows = block.weight.shape[0]
    weights = cutter.weights
    found = portions(rows, cutter.size, 64, weights) or portions(rows, cutter.size, 1, weights)
    if found is None:
        return False
    cutter.gathered(block, path, found)
    return True


def _own(block: nn.Module, kind: type[nn.Module], *widths: int) -> bool:
    """Whether a block has no parts but those of its kind, or none of these widths."""
    if type(block) is kind or isinstance(block, SharedAttention):
        return True
    own = OWN[kind]
    parts = [child for name, child in block.named_children() if name not in own]
    direct = [each for name, each in block.named_parameters(recurse=False) if name not in own]
    shapes: list[tuple[int, ...]] = [tuple(each.shape) for each in direct]
    for part in parts:
        shapes += [slot.shape for slot in slots(part).values()]
    return not any(width in shape for width in widths for shape in shapes)


def _by_number(block: Any) -> bool:
    """Whether what is between a block's matrices treats each number by itself."""
    glu, act = getattr(block, "glu", None), block.act
    if glu is None and isinstance(act, nn.Module) and (own := list(act.parameters())):
        # on the meta device it cannot be tried: single numbers are the same for all
        return all(each.numel() == 1 for each in own)
    with torch.inference_mode():
        x = torch.linspace(-3, 3, 64).flip(0)[None]
        try:
            if glu is not None:
                whole, half = glu(x, x), glu(x[:, :32], x[:, :32])
            else:
                whole, half = act(x), act(x[:, :32])
        except RuntimeError:  # it does not take every width
            return False
    return torch.allclose(whole[:, :32], half)


def _by_head(norm: nn.Module | None, d_head: int) -> bool:
    """Whether a norm treats all heads alike, or has a weight for each."""
    if norm is None or isinstance(norm, HeadNorm):
        return True
    return all(tuple(each.shape) == (d_head,) for each in norm.parameters())


SPLITTERS: tuple[tuple[type[nn.Module], Splitter], ...] = (
    (Attention, attention),
    (LatentAttention, latent_attention),
    (GatedMLP, feed_forward),
    (MLP, feed_forward),
    (Experts, experts),
    (Mamba, channels),
    (Mamba2, state_heads),
    (GatedDeltaNet, delta_net),
)
"""By the class of a block, or that of which it is a subclass."""
