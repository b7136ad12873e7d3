"""How GPT-OSS's tensors become the model's.

Packed experts, (experts * rows, columns), are called `experts.down_proj.weight`, and so are those
that lie so unpacked; what is called `experts.down_proj` is (experts, columns, rows). In both, rows
of gate and up alternate where they are one matrix.
"""

from tramontane.checkpoint.rules import Flatten, Rename, Rule, Split, Transpose

WEIGHTS: dict[str, list[Rule]] = {
    "hf": [
        Rename("*.mlp.router", "*.mlp.gate"),
        # apart while their names say which way they lie
        Rename("*.experts.*_proj.weight", "*.experts.*_rows.weight"),
        Rename("*.experts.*_proj.bias", "*.experts.*_rows.bias"),
        Rename("*.experts.*_proj", "*.experts.*_columns.weight"),
        Rename("*.experts.*_proj_bias", "*.experts.*_rows.bias"),
        Transpose("*.experts.*_columns", per="count"),
        Rename("*.experts.*_columns", "*.experts.*_proj"),
        Rename("*.experts.*_rows", "*.experts.*_proj"),
        Flatten("*.experts.*_proj.bias"),
        Split("*.experts.gate_up_proj", ("gate_proj", "up_proj"), per="rows"),
    ],
    "gguf": [
        Rename("blk.*.post_attention_norm", "model.layers.*.post_attention_layernorm"),
        Rename("blk.*.attn_sinks.weight", "model.layers.*.self_attn.sinks"),
        Flatten("*.experts.*_proj.bias"),
    ],
}
