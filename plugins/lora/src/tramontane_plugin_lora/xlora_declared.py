"""Where transformers' models, which classifiers are trained on, have modules in another order than
the models here. peft counts the layers of a classifier in the order of the modules."""

_KEYS_FIRST = ("k_proj", "v_proj", "q_proj")
_DELTA_NET = ("out_proj", "in_proj_qkv", "in_proj_z", "in_proj_b", "in_proj_a")
_MINIMAX = ("qkv_proj", "out_proj", "output_gate")
_KIMI = ("q_proj", "k_proj", "v_proj", "forget_gate", "b_proj", "g_a_proj", "g_b_proj")
_MIXER_LAST = ("block_sparse_moe", "shared_mlp", "feed_forward", "mamba", "self_attn")
_PHI3 = ("self_attn.o_proj", "self_attn.qkv_proj")
_GEMMA3N = (
    "self_attn", "mlp", "altup.correction_coefs", "altup.prediction_coefs",
    "altup.modality_router", "laurel",
)  # fmt: skip


def _in(module: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{module}.{name}" for name in names)


DECLARED: dict[str, tuple[str, ...]] = {
    "BambaForCausalLM": _MIXER_LAST,
    "FalconH1ForCausalLM": _MIXER_LAST,
    "GPTJForCausalLM": _in("attn", _KEYS_FIRST),
    "Gemma3nForCausalLM": _GEMMA3N,
    "Gemma3nForConditionalGeneration": _GEMMA3N,
    "GraniteMoeHybridForCausalLM": _MIXER_LAST,
    "KimiLinearForCausalLM": _in("self_attn", _KIMI),
    "MiniMaxForCausalLM": _in("self_attn", _MINIMAX),
    "MiniMaxText01ForCausalLM": _in("self_attn", _MINIMAX),
    "OPTForCausalLM": _in("self_attn", _KEYS_FIRST),
    "Phi3ForCausalLM": _PHI3,
    "Phi3VForCausalLM": _PHI3,
    "Phi4MMForCausalLM": _PHI3,
    "Phi4MultimodalForCausalLM": _PHI3,
    "Qwen3_5ForCausalLM": _in("linear_attn", _DELTA_NET),
    "Qwen3_5MoeForCausalLM": _in("linear_attn", _DELTA_NET),
    "XGLMForCausalLM": _in("self_attn", _KEYS_FIRST),
    "Zamba2ForCausalLM": (),
}
"""By architectures' names: beginnings of names in a layer, in transformers' order; none: there is
no such order, as layers share modules."""
