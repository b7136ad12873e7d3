"""What config.json says in well-known checkpoints, sizes of tensors and what nobody reads left out.

A line has the family, as in `FAMILIES`, and the values as they are published. Sizes are kept where
another value is derived from them.
"""

from __future__ import annotations

from typing import Any

LLAMA3 = {
    "factor": 8.0,
    "high_freq_factor": 4.0,
    "low_freq_factor": 1.0,
    "original_max_position_embeddings": 8192,
    "rope_type": "llama3",
}
YARN = {
    "beta_fast": 32,
    "beta_slow": 1,
    "factor": 40,
    "original_max_position_embeddings": 4096,
    "type": "yarn",
}

GEMMA_4 = {
    "attention_bias": False,
    "final_logit_softcapping": 30.0,
    "global_head_dim": 512,
    "head_dim": 256,
    "hidden_activation": "gelu_pytorch_tanh",
    "rms_norm_eps": 1e-6,
    "rope_parameters": {
        "full_attention": {
            "partial_rotary_factor": 0.25, "rope_theta": 1000000.0, "rope_type": "proportional"},
        "sliding_attention": {"rope_theta": 10000.0, "rope_type": "default"},
    },
    "tie_word_embeddings": True,
    "vocab_size_per_layer_input": 262144,
}  # fmt: skip


def sizes(
    hidden: int, wide: int, layers: int, heads: int, keys: int | None, vocab: int
) -> dict[str, Any]:
    told = {
        "hidden_size": hidden,
        "intermediate_size": wide,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "vocab_size": vocab,
    }
    return told if keys is None else {**told, "num_key_value_heads": keys}


def gpt(hidden: int, layers: int, heads: int, length: int, vocab: int) -> dict[str, Any]:
    return {
        "n_embd": hidden,
        "n_layer": layers,
        "n_head": heads,
        "n_positions": length,
        "vocab_size": vocab,
        "layer_norm_epsilon": 1e-5,
    }


PUBLISHED: dict[str, tuple[str, dict[str, Any]]] = {
    # Llama
    "Llama-2-7b": ("llama", {
        **sizes(4096, 11008, 32, 32, 32, 32000), "hidden_act": "silu", "rms_norm_eps": 1e-5,
        "max_position_embeddings": 4096, "rope_scaling": None, "tie_word_embeddings": False}),
    "Meta-Llama-3-8B": ("llama", {
        **sizes(4096, 14336, 32, 32, 8, 128256), "attention_bias": False, "hidden_act": "silu",
        "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_scaling": None,
        "rope_theta": 500000.0, "tie_word_embeddings": False}),
    "Llama-3.1-8B": ("llama", {
        **sizes(4096, 14336, 32, 32, 8, 128256), "attention_bias": False, "mlp_bias": False,
        "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "rope_scaling": LLAMA3,
        "rope_theta": 500000.0, "tie_word_embeddings": False}),
    "Llama-3.2-1B": ("llama", {
        **sizes(2048, 8192, 16, 32, 8, 128256), "head_dim": 64, "mlp_bias": False,
        "max_position_embeddings": 131072, "rms_norm_eps": 1e-5,
        "rope_scaling": {**LLAMA3, "factor": 32.0}, "rope_theta": 500000.0,
        "tie_word_embeddings": True}),
    "TinyLlama-1.1B-Chat": ("llama", {
        **sizes(2048, 5632, 22, 32, 4, 32000), "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5, "rope_scaling": None, "tie_word_embeddings": False}),
    "SmolLM2-1.7B": ("llama", {
        **sizes(2048, 8192, 24, 32, 32, 49152), "max_position_embeddings": 8192,
        "mlp_bias": False, "rms_norm_eps": 1e-5, "rope_theta": 130000,
        "tie_word_embeddings": True}),
    "Yi-6B": ("llama", {
        **sizes(4096, 11008, 32, 32, 4, 64000), "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5, "rope_theta": 5000000.0, "tie_word_embeddings": False}),
    "deepseek-coder-6.7b": ("llama", {
        **sizes(4096, 11008, 32, 32, 32, 32256), "max_position_embeddings": 16384,
        "rms_norm_eps": 1e-6, "rope_scaling": {"factor": 4.0, "type": "linear"},
        "rope_theta": 100000}),
    # Mistral
    "Mistral-7B-v0.1": ("mistral", {
        **sizes(4096, 14336, 32, 32, 8, 32000), "hidden_act": "silu", "rms_norm_eps": 1e-5,
        "max_position_embeddings": 32768, "rope_theta": 10000.0, "sliding_window": 4096}),
    "Mistral-7B-Instruct-v0.3": ("mistral", {
        **sizes(4096, 14336, 32, 32, 8, 32768), "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-5, "rope_theta": 1000000.0, "sliding_window": None}),
    "Mistral-Nemo-12B": ("mistral", {
        **sizes(5120, 14336, 40, 32, 8, 131072), "head_dim": 128, "rms_norm_eps": 1e-5,
        "max_position_embeddings": 131072, "rope_theta": 1000000.0, "sliding_window": None}),
    "Mixtral-8x7B": ("mixtral", {
        **sizes(4096, 14336, 32, 32, 8, 32000), "max_position_embeddings": 32768,
        "num_experts_per_tok": 2, "num_local_experts": 8, "rms_norm_eps": 1e-5,
        "rope_theta": 1000000.0, "sliding_window": None, "tie_word_embeddings": False}),
    # Qwen
    "Qwen2-7B": ("qwen2", {
        **sizes(3584, 18944, 28, 28, 4, 152064), "max_position_embeddings": 131072,
        "max_window_layers": 28, "rms_norm_eps": 1e-6, "rope_theta": 1000000.0,
        "sliding_window": 131072, "tie_word_embeddings": False, "use_sliding_window": False}),
    "Qwen2.5-0.5B-Instruct": ("qwen2", {
        **sizes(896, 4864, 24, 14, 2, 151936), "max_position_embeddings": 32768,
        "max_window_layers": 21, "rms_norm_eps": 1e-6, "rope_theta": 1000000.0,
        "sliding_window": 32768, "tie_word_embeddings": True, "use_sliding_window": False}),
    "Qwen2.5-7B with yarn": ("qwen2", {
        **sizes(3584, 18944, 28, 28, 4, 152064), "max_position_embeddings": 32768,
        "rope_theta": 1000000.0, "use_sliding_window": False, "rope_scaling": {
            "factor": 4.0, "original_max_position_embeddings": 32768, "type": "yarn"}}),
    "Qwen3-0.6B": ("qwen3", {
        **sizes(1024, 3072, 28, 16, 8, 151936), "attention_bias": False, "head_dim": 128,
        "max_position_embeddings": 40960, "max_window_layers": 28, "rms_norm_eps": 1e-6,
        "rope_scaling": None, "rope_theta": 1000000, "sliding_window": None,
        "tie_word_embeddings": True, "use_sliding_window": False}),
    "Qwen1.5-MoE-A2.7B": ("qwen2-moe", {
        **sizes(2048, 5632, 24, 16, 16, 151936), "decoder_sparse_step": 1,
        "max_position_embeddings": 8192, "max_window_layers": 21, "moe_intermediate_size": 1408,
        "norm_topk_prob": False, "num_experts": 60, "num_experts_per_tok": 4,
        "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "shared_expert_intermediate_size": 5632,
        "sliding_window": 32768, "tie_word_embeddings": False, "use_sliding_window": False}),
    "Qwen2-57B-A14B": ("qwen2-moe", {
        **sizes(3584, 18944, 28, 28, 4, 151936), "max_position_embeddings": 131072,
        "max_window_layers": 28, "moe_intermediate_size": 2560, "norm_topk_prob": False,
        "num_experts": 64, "num_experts_per_tok": 8, "rope_theta": 1000000.0,
        "shared_expert_intermediate_size": 20480, "sliding_window": 65536,
        "use_sliding_window": False}),
    "Qwen3-30B-A3B": ("qwen3-moe", {
        **sizes(2048, 6144, 48, 32, 4, 151936), "attention_bias": False, "head_dim": 128,
        "decoder_sparse_step": 1, "max_position_embeddings": 40960, "max_window_layers": 48,
        "mlp_only_layers": [], "moe_intermediate_size": 768, "norm_topk_prob": True,
        "num_experts": 128, "num_experts_per_tok": 8, "rms_norm_eps": 1e-6, "rope_scaling": None,
        "rope_theta": 1000000.0, "sliding_window": None, "tie_word_embeddings": False,
        "use_sliding_window": False}),
    # Ministral
    "Ministral-3-8B-Instruct-2512": ("ministral3", {
        **sizes(4096, 14336, 34, 32, 8, 131072), "head_dim": 128, "hidden_act": "silu",
        "max_position_embeddings": 262144, "rms_norm_eps": 1e-5, "sliding_window": None,
        "tie_word_embeddings": False, "rope_parameters": {
            "beta_fast": 32.0, "beta_slow": 1.0, "factor": 16.0, "llama_4_scaling_beta": 0.1,
            "mscale": 1.0, "mscale_all_dim": 1.0, "original_max_position_embeddings": 16384,
            "rope_theta": 1000000.0, "rope_type": "yarn", "type": "yarn"}}),
    # GLM
    "GLM-4.7-Flash": ("glm4-moe-lite", {
        **sizes(2048, 10240, 47, 20, 20, 154880), "attention_bias": False, "hidden_act": "silu",
        "max_position_embeddings": 202752, "moe_intermediate_size": 1536, "n_group": 1,
        "topk_group": 1, "topk_method": "noaux_tc", "norm_topk_prob": True,
        "n_routed_experts": 64, "n_shared_experts": 1, "num_experts_per_tok": 4,
        "first_k_dense_replace": 1, "num_nextn_predict_layers": 1, "routed_scaling_factor": 1.8,
        "q_lora_rank": 768, "kv_lora_rank": 512, "qk_nope_head_dim": 192, "qk_rope_head_dim": 64,
        "v_head_dim": 256, "partial_rotary_factor": 1.0, "rms_norm_eps": 1e-5,
        "rope_scaling": None, "rope_theta": 1000000, "tie_word_embeddings": False}),
    # MiniMax
    "MiniMax-M2": ("minimax-m2", {
        **sizes(3072, 1536, 62, 48, 8, 200064), "head_dim": 128, "hidden_act": "silu",
        "attn_type_list": [1] * 62, "max_position_embeddings": 196608, "num_experts_per_tok": 8,
        "num_local_experts": 256, "qk_norm_type": "per_layer", "rms_norm_eps": 1e-6,
        "rope_theta": 5000000, "rotary_dim": 64, "scoring_func": "sigmoid",
        "shared_intermediate_size": 0, "tie_word_embeddings": False, "use_qk_norm": True,
        "use_routing_bias": True, "use_mtp": True, "num_mtp_modules": 3}),
    # HunYuan, dots.llm1
    "Hunyuan-7B-Instruct": ("hunyuan", {
        **sizes(4096, 14336, 32, 32, 8, 128167), "attention_bias": False, "head_dim": 128,
        "hidden_act": "silu", "max_position_embeddings": 32768, "mlp_bias": False,
        "rms_norm_eps": 1e-5, "tie_word_embeddings": True, "use_cla": False,
        "use_qk_norm": True, "rope_theta": 10000.0}),
    "Hunyuan-A13B-Instruct": ("hunyuan-moe", {
        **sizes(4096, 3072, 32, 32, 8, 128167), "attention_bias": False, "head_dim": 128,
        "hidden_act": "silu", "max_position_embeddings": 32768, "mlp_bias": False,
        "moe_topk": 8, "num_experts": 64, "rms_norm_eps": 1e-5, "tie_word_embeddings": True,
        "use_cla": False, "use_qk_norm": True, "rope_theta": 10000.0}),
    "dots.llm1.inst": ("dots1", {
        **sizes(4096, 10944, 62, 32, 32, 152064), "attention_bias": False, "head_dim": 128,
        "hidden_act": "silu", "max_position_embeddings": 32768, "moe_intermediate_size": 1408,
        "n_routed_experts": 128, "n_shared_experts": 2, "num_experts_per_tok": 6,
        "first_k_dense_replace": 1, "norm_topk_prob": True, "routed_scaling_factor": 2.5,
        "rms_norm_eps": 1e-5, "rope_scaling": None, "rope_theta": 10000000,
        "scoring_func": "noaux_tc", "sliding_window": None, "max_window_layers": 62,
        "tie_word_embeddings": False}),
    # Gemma
    "gemma-2b": ("gemma", {
        **sizes(2048, 16384, 18, 8, 1, 256000), "head_dim": 256, "hidden_act": "gelu",
        "hidden_activation": None, "max_position_embeddings": 8192, "rms_norm_eps": 1e-6,
        "rope_scaling": None, "rope_theta": 10000.0}),
    "gemma-2-9b": ("gemma2", {
        **sizes(3584, 14336, 42, 16, 8, 256000), "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0, "head_dim": 256, "hidden_act": "gelu_pytorch_tanh",
        "hidden_activation": "gelu_pytorch_tanh", "max_position_embeddings": 8192,
        "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
        "sliding_window": 4096}),
    "gemma-2-27b": ("gemma2", {
        **sizes(4608, 36864, 46, 32, 16, 256000), "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0, "head_dim": 128, "query_pre_attn_scalar": 144,
        "hidden_activation": "gelu_pytorch_tanh", "max_position_embeddings": 8192,
        "sliding_window": 4096}),
    "gemma-4-E2B-it": ("gemma4", {
        **sizes(1536, 6144, 35, 8, 1, 262144), **GEMMA_4, "attention_k_eq_v": False,
        "enable_moe_block": False, "hidden_size_per_layer_input": 256, "sliding_window": 512,
        "layer_types": (["sliding_attention"] * 4 + ["full_attention"]) * 7,
        "max_position_embeddings": 131072, "moe_intermediate_size": None, "num_experts": None,
        "num_global_key_value_heads": None, "num_kv_shared_layers": 20, "top_k_experts": None,
        "use_bidirectional_attention": None, "use_double_wide_mlp": True}),
    "gemma-4-26B-A4B-it": ("gemma4", {
        **sizes(2816, 2112, 30, 16, 8, 262144), **GEMMA_4, "attention_k_eq_v": True,
        "enable_moe_block": True, "hidden_size_per_layer_input": 0, "sliding_window": 1024,
        "layer_types": (["sliding_attention"] * 5 + ["full_attention"]) * 5,
        "max_position_embeddings": 262144, "moe_intermediate_size": 704, "num_experts": 128,
        "num_global_key_value_heads": 2, "num_kv_shared_layers": 0, "top_k_experts": 8,
        "use_bidirectional_attention": "vision", "use_double_wide_mlp": False}),
    "gemma-3-1b-it": ("gemma3", {
        **sizes(1152, 6912, 26, 4, 1, 262144), "attention_bias": False, "head_dim": 256,
        "attn_logit_softcapping": None, "final_logit_softcapping": None,
        "hidden_activation": "gelu_pytorch_tanh", "max_position_embeddings": 32768,
        "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-6, "rope_local_base_freq": 10000,
        "rope_scaling": None, "rope_theta": 1000000, "sliding_window": 512,
        "sliding_window_pattern": 6}),
    # Phi
    "phi-2": ("phi2", {
        **sizes(2560, 10240, 32, 32, 32, 51200), "hidden_act": "gelu_new", "layer_norm_eps": 1e-5,
        "max_position_embeddings": 2048, "partial_rotary_factor": 0.4, "qk_layernorm": False,
        "rope_scaling": None, "rope_theta": 10000.0, "tie_word_embeddings": False}),
    "phi-1_5": ("phi2", {
        **sizes(2048, 8192, 24, 32, None, 51200), "partial_rotary_factor": 0.5,
        "qk_layernorm": False, "rope_theta": 10000.0, "num_key_value_heads": None}),
    "Phi-3-mini-4k-instruct": ("phi3", {
        **sizes(3072, 8192, 32, 32, 32, 32064), "attention_bias": False, "rms_norm_eps": 1e-5,
        "max_position_embeddings": 4096, "original_max_position_embeddings": 4096,
        "rope_scaling": None, "rope_theta": 10000.0, "sliding_window": 2047}),
    "Phi-3-mini-128k-instruct": ("phi3", {
        **sizes(3072, 8192, 32, 32, 32, 32064), "max_position_embeddings": 131072,
        "original_max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "rope_scaling": {"type": "longrope", "long_factor": [1.5] * 48,
                         "short_factor": [1.05] * 48}, "sliding_window": 262144}),
    "phi-4": ("phi3", {
        **sizes(5120, 17920, 40, 40, 10, 100352), "max_position_embeddings": 16384,
        "original_max_position_embeddings": 16384, "rms_norm_eps": 1e-5, "rope_scaling": None,
        "rope_theta": 250000, "sliding_window": None, "tie_word_embeddings": False}),
    "Phi-4-mini-instruct": ("phi3", {
        **sizes(3072, 8192, 32, 24, 8, 200064), "max_position_embeddings": 131072,
        "original_max_position_embeddings": 4096, "partial_rotary_factor": 0.75,
        "rope_theta": 10000.0, "sliding_window": 262144, "tie_word_embeddings": True,
        "rope_scaling": {"type": "longrope", "long_factor": [1.5] * 48,
                         "short_factor": [1.0] * 48}}),
    "Phi-3.5-MoE-instruct": ("phimoe", {
        **sizes(4096, 6400, 32, 32, 8, 32064), "attention_bias": True, "lm_head_bias": True,
        "max_position_embeddings": 131072, "num_experts_per_tok": 2, "num_local_experts": 16,
        "original_max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "router_jitter_noise": 0.01, "sliding_window": 131072, "rope_scaling": {
            "type": "longrope", "long_factor": [1.5] * 64, "short_factor": [1.0] * 64,
            "long_mscale": 1.243163121016122, "short_mscale": 1.243163121016122,
            "original_max_position_embeddings": 4096}}),
    # the first decoders
    "gpt2": ("gpt2", {
        **gpt(768, 12, 12, 1024, 50257), "activation_function": "gelu_new", "n_ctx": 1024}),
    "distilgpt2": ("gpt2", {**gpt(768, 6, 12, 1024, 50257), "n_ctx": 1024}),
    "DialoGPT-medium": ("gpt2", {**gpt(1024, 24, 16, 1024, 50257), "n_ctx": 1024}),
    "Cerebras-GPT-111M": ("gpt2", {
        **gpt(768, 10, 12, 2048, 50257), "activation_function": "gelu", "n_inner": 3072,
        "scale_attn_weights": True}),
    "stanford-crfm/alias-gpt2-small-x21": ("gpt2", {
        **gpt(768, 12, 12, 1024, 50257), "activation_function": "gelu_new", "n_inner": None,
        "reorder_and_upcast_attn": True, "scale_attn_by_inverse_layer_idx": True,
        "scale_attn_weights": True}),
    "gpt-j-6b": ("gptj", {
        **gpt(4096, 28, 16, 2048, 50400), "activation_function": "gelu_new", "n_inner": None,
        "rotary": True, "rotary_dim": 64, "tie_word_embeddings": False}),
    "pythia-70m": ("gptneox", {
        **sizes(512, 2048, 6, 8, None, 50304), "hidden_act": "gelu", "layer_norm_eps": 1e-5,
        "max_position_embeddings": 2048, "rotary_emb_base": 10000, "rotary_pct": 0.25,
        "tie_word_embeddings": False, "use_parallel_residual": True}),
    "gpt-neox-20b": ("gptneox", {
        **sizes(6144, 24576, 44, 64, None, 50432), "hidden_act": "gelu_fast",
        "rotary_emb_base": 10000, "rotary_pct": 0.25, "use_parallel_residual": True}),
    "RedPajama-INCITE-Base-3B": ("gptneox", {
        **sizes(2560, 10240, 32, 32, None, 50432), "hidden_act": "gelu", "rotary_pct": 1.0,
        "rotary_emb_base": 10000, "use_parallel_residual": False}),
    "bloom-560m": ("bloom", {
        "n_embed": 1024, "n_layer": 24, "num_attention_heads": 16, "vocab_size": 250880,
        "apply_residual_connection_post_layernorm": False, "layer_norm_epsilon": 1e-5,
        "seq_length": 2048}),
    "bloom": ("bloom", {
        "hidden_size": 14336, "n_layer": 70, "n_head": 112, "vocab_size": 250880,
        "apply_residual_connection_post_layernorm": False, "seq_length": 2048}),
    "mpt-7b": ("mpt", {
        "d_model": 4096, "n_heads": 32, "n_layers": 32, "max_seq_len": 2048, "vocab_size": 50432,
        "expansion_ratio": 4, "learned_pos_emb": True, "logit_scale": None, "no_bias": True,
        "norm_type": "low_precision_layernorm", "attn_config": {
            "alibi": True, "alibi_bias_max": 8, "attn_impl": "torch", "attn_pdrop": 0,
            "attn_type": "multihead_attention", "attn_uses_sequence_id": False, "clip_qkv": None,
            "prefix_lm": False, "qk_ln": False, "softmax_scale": None}}),
    "mpt-7b-storywriter": ("mpt", {
        "d_model": 4096, "n_heads": 32, "n_layers": 32, "max_seq_len": 65536, "vocab_size": 50432,
        "no_bias": True, "attn_config": {
            "alibi": True, "alibi_bias_max": 16, "clip_qkv": 6.0,  # 6 there, which theirs refuses
            "softmax_scale": None}}),
    "falcon-7b": ("falcon", {
        "hidden_size": 4544, "num_hidden_layers": 32, "num_attention_heads": 71,
        "vocab_size": 65024, "alibi": False, "bias": False, "layer_norm_epsilon": 1e-5,
        "multi_query": True, "new_decoder_architecture": False, "num_kv_heads": 71,
        "parallel_attn": True}),
    "falcon-40b": ("falcon", {
        "hidden_size": 8192, "num_hidden_layers": 60, "num_attention_heads": 128,
        "vocab_size": 65024, "alibi": False, "bias": False, "new_decoder_architecture": True,
        "num_kv_heads": 8, "parallel_attn": True}),
    "falcon-11B": ("falcon", {
        "hidden_size": 4096, "num_hidden_layers": 60, "num_attention_heads": 32,
        "vocab_size": 65024, "activation": "gelu", "ff_factor": 4, "ffn_hidden_size": 16384,
        "max_position_embeddings": 8192, "new_decoder_architecture": True, "num_kv_heads": 8,
        "num_ln_in_parallel_attn": 1, "rope_scaling": None, "rope_theta": 500042.0,
        "tie_word_embeddings": False}),
    "falcon-rw-1b": ("falcon", {
        "hidden_size": 2048, "num_hidden_layers": 24, "num_attention_heads": 32,
        "vocab_size": 50304, "alibi": True, "bias": True, "multi_query": False,
        "new_decoder_architecture": False, "num_kv_heads": 32, "parallel_attn": False}),
    "starcoder": ("gpt-bigcode", {
        **gpt(6144, 40, 48, 8192, 49152), "activation_function": "gelu", "multi_query": True,
        "n_inner": 24576, "scale_attn_weights": True}),
    "starcoder2-3b": ("starcoder2", {
        **sizes(3072, 12288, 30, 24, 2, 49152), "hidden_act": "gelu_pytorch_tanh",
        "max_position_embeddings": 16384, "norm_epsilon": 1e-5, "rope_theta": 999999.4420358813,
        "sliding_window": 4096, "use_bias": True}),
    # GLM, SmolLM3, Granite
    "GLM-4-9B-0414": ("glm4", {
        **sizes(4096, 13696, 40, 32, 2, 151552), "attention_bias": True, "head_dim": 128,
        "max_position_embeddings": 32768, "partial_rotary_factor": 0.5, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "tie_word_embeddings": False}),
    "GLM-4.5-Air": ("glm4-moe", {
        **sizes(4096, 10944, 46, 96, 8, 151552), "attention_bias": True, "head_dim": 128,
        "first_k_dense_replace": 1, "max_position_embeddings": 131072, "n_group": 1,
        "moe_intermediate_size": 1408, "n_routed_experts": 128, "n_shared_experts": 1,
        "norm_topk_prob": True, "num_experts_per_tok": 8, "num_nextn_predict_layers": 1,
        "partial_rotary_factor": 0.5, "rms_norm_eps": 1e-5, "rope_scaling": None,
        "rope_theta": 1000000, "routed_scaling_factor": 1.0, "topk_group": 1,
        "use_qk_norm": False}),
    "GLM-4.6": ("glm4-moe", {
        **sizes(5120, 12288, 92, 96, 8, 151552), "attention_bias": True, "head_dim": 128,
        "first_k_dense_replace": 3, "max_position_embeddings": 202752,
        "moe_intermediate_size": 1536, "n_routed_experts": 160, "partial_rotary_factor": 0.5,
        "rope_theta": 1000000, "routed_scaling_factor": 2.5, "use_qk_norm": True}),
    "SmolLM3-3B": ("smollm3", {
        **sizes(2048, 11008, 36, 16, 4, 128256), "attention_bias": False,
        "layer_types": ["full_attention"] * 36, "max_position_embeddings": 65536,
        "max_window_layers": 28, "mlp_bias": False, "no_rope_layer_interval": 4,
        "no_rope_layers": [1, 1, 1, 0] * 9, "rms_norm_eps": 1e-6, "rope_scaling": None,
        "rope_theta": 5000000.0, "sliding_window": None, "use_sliding_window": False}),
    "granite-3.3-2b-instruct": ("granite", {
        **sizes(2048, 8192, 40, 32, 8, 49159), "attention_bias": False, "mlp_bias": False,
        "attention_multiplier": 0.015625, "embedding_multiplier": 12.0, "logits_scaling": 8.0,
        "max_position_embeddings": 131072, "residual_multiplier": 0.22, "rms_norm_eps": 1e-5,
        "rope_scaling": None, "rope_theta": 10000000.0, "tie_word_embeddings": True}),
    "granite-3.1-1b-a400m": ("granite-moe", {
        **sizes(1024, 512, 24, 16, 8, 49155), "attention_multiplier": 0.015625,
        "embedding_multiplier": 12.0, "logits_scaling": 6.0, "max_position_embeddings": 131072,
        "num_experts_per_tok": 8, "num_local_experts": 32, "residual_multiplier": 0.22,
        "rope_theta": 1500000.0, "tie_word_embeddings": True}),
    "granite-4.0-micro": ("granite-4", {
        **sizes(2560, 8192, 40, 40, 8, 100352), "attention_bias": False,
        "attention_multiplier": 0.015625, "embedding_multiplier": 12, "logits_scaling": 10,
        "layer_types": ["attention"] * 40, "max_position_embeddings": 131072,
        "num_experts_per_tok": 0, "num_local_experts": 0, "position_embedding_type": "rope",
        "residual_multiplier": 0.22, "rms_norm_eps": 1e-5, "rope_theta": 10000000,
        "shared_intermediate_size": 8192, "tie_word_embeddings": True,
        "mamba_n_heads": 80, "mamba_d_head": 64}),
}  # fmt: skip
"""By the checkpoint's name. The factors of `longrope` are shortened to their number."""
