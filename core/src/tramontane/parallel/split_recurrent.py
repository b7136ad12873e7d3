"""How blocks that keep a state are shared by ranks: by head or channel, each with its states."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tramontane.blocks import GatedDeltaNet, Mamba, Mamba2, ShortConv

from .cut import Cut
from .cutter import Cutter, times
from .portions import head_portions, wide_portions


def channels(block: Mamba, path: str, cutter: Cutter) -> bool:
    """By channels; dt, B and C are sums over all of them."""
    steps = [cutter.step(f"{path}.{name}") for name in ("x_proj", "out_proj")]
    if type(block) is not Mamba or None in steps:
        return False
    inner, step = block.D.shape[0], math.lcm(*(each or 1 for each in steps))
    found = wide_portions(inner, cutter.size, step, cutter.weights)
    if found is None:
        return False
    mine = found[cutter.rank]
    cutter.linear(block.in_proj, f"{path}.in_proj", mine, _behind(mine, inner))
    for name in ("x_proj", "dt_proj", "out_proj"):
        cutter.linear(getattr(block, name), f"{path}.{name}", mine)
    _convolution(block.conv1d, f"{path}.conv1d", cutter, [mine])
    _vectors(block, path, cutter, ("A_log", "D"), mine)
    _states(block.scan, -1, len(mine))
    return True


def state_heads(block: Mamba2, path: str, cutter: Cutter) -> bool:
    """By heads, with the groups that they use."""
    heads, groups, d_head, state = block.D.shape[0], block.groups, block.d_head, block.state
    step = cutter.step(f"{path}.out_proj")
    if type(block).project is not Mamba2.project or step is None:
        return False
    found = head_portions(heads, groups, d_head, cutter.size, step, cutter.weights)
    if found is None or (block.norm is not None and groups < cutter.size):
        return False  # a norm of a group is over all its heads
    mine, used = found[cutter.rank]
    inner, shared = heads * d_head, groups * state
    values, pairs = times(mine, d_head), times(used, state)
    mixed = [values, _behind(pairs, inner), _behind(pairs, inner + shared)]
    every = [values, *(_behind(run, inner) for run in mixed), _behind(mine, 2 * (inner + shared))]
    cutter.linear(block.in_proj, f"{path}.in_proj", *every)
    cutter.linear(block.out_proj, f"{path}.out_proj", values)
    _convolution(block.conv1d, f"{path}.conv1d", cutter, mixed)
    _vectors(block, path, cutter, ("A_log", "D", "dt_bias"), mine)
    if block.norm is not None:
        _vectors(block.norm, f"{path}.norm", cutter, ("weight",), values)
        block.norm.groups = len(used)
    block.groups, block.widths = len(used), [len(run) for run in mixed]
    block.parts = [len(values), sum(block.widths), len(mine)]
    _states(block.rule, 0, len(mine))
    return True


def delta_net(block: GatedDeltaNet, path: str, cutter: Cutter) -> bool:
    """By key heads, with the heads that they serve."""
    step = cutter.step(f"{path}.out_proj")
    if type(block) is not GatedDeltaNet or block.rule.tiled or step is None:
        return False
    width, keys = block.d_value, block.key_heads * block.d_key
    found = head_portions(
        block.heads, block.key_heads, width, cutter.size, step, cutter.weights
    )  # fmt: skip
    if found is None:
        return False
    mine, used = found[cutter.rank]
    values, own = times(mine, width), times(used, block.d_key)
    mixed = [own, _behind(own, keys), _behind(values, 2 * keys)]
    cutter.linear(block.in_proj_qkv, f"{path}.in_proj_qkv", *mixed)
    for name, run in (
        ("in_proj_z", values), ("in_proj_b", mine), ("in_proj_a", mine), ("out_proj", values)
    ):  # fmt: skip
        cutter.linear(getattr(block, name), f"{path}.{name}", run)
    _convolution(block.conv1d, f"{path}.conv1d", cutter, mixed)
    _vectors(block, path, cutter, ("A_log", "dt_bias"), mine)
    block.widths, block.heads, block.key_heads = [len(run) for run in mixed], len(mine), len(used)
    _states(block.rule, 0, len(mine))
    return True


def _behind(run: range, offset: int) -> range:
    return range(run.start + offset, run.stop + offset)


def _convolution(block: ShortConv, path: str, cutter: Cutter, runs: Sequence[range]) -> None:
    for name in ("weight", "bias"):
        cutter.parameter(block, path, name, Cut(rows=tuple(runs)))
    _states(block, -1, sum(map(len, runs)))


def _vectors(block: Any, path: str, cutter: Cutter, names: Sequence[str], run: range) -> None:
    for name in names:
        cutter.parameter(block, path, name, Cut(rows=(run,)))


def _states(block: Any, place: int, count: int) -> None:
    """The shapes of a block's states, of which one dimension is now `count`."""
    for name, shape in block.states.items():
        changed = list(shape)
        changed[place] = count
        block.states[name] = tuple(changed)
