"""Zamba2's tensors: a shared block's are at the first layer that has it, and so are the small
matrices of all layers that go through it, by the number of the layer among those."""

from tramontane.checkpoint.rules import Rename, Rule, Skip, Split

from .config import Zamba2Config

COPIED = (
    "input_layernorm", "pre_ff_layernorm", "self_attn.?_proj", "feed_forward.*_proj",
    "*_adapter_list.*",
)  # fmt: skip
"""What a file that repeats shared tensors has of a block in each layer."""


def weights(cfg: Zamba2Config) -> dict[str, list[Rule]]:
    found: list[Rule] = [Rename("model.final_layernorm", "model.norm")]
    places = [f"model.layers.{index}.shared_transformer" for index in cfg.hybrid]
    for turn, own in enumerate(places):
        kept = places[turn % cfg.num_mem_blocks]
        if own != kept:
            found += [Skip(f"{own}.{part}") for part in COPIED]
        for part in "qkv":
            theirs = f"{kept}.self_attn.linear_{part}_adapter_list.{turn}"
            found += [
                Rename(f"{theirs}.0", f"{own}.self_attn.{part}_adapter.down"),
                Rename(f"{theirs}.1", f"{own}.self_attn.{part}_adapter.up"),
            ]
        theirs = f"{kept}.feed_forward.gate_up_proj_adapter_list.{turn}"
        found += [
            Rename(f"{theirs}.0", f"{own}.feed_forward.adapter"),
            Rename(f"{theirs}.1", f"{own}.feed_forward.gate_up_adapter"),
        ]
    return {
        "hf": [
            *found,
            Split("*.feed_forward.gate_up_proj", ("gate_proj", "up_proj")),
            Split("*.feed_forward.gate_up_adapter", ("gate_adapter", "up_adapter")),
        ]
    }
