"""As `published.py`, of families that came to Tramontane later."""

from __future__ import annotations

from typing import Any

from .published import LLAMA3, YARN, gpt, sizes

GPT_OSS = {
    "attention_bias": True, "head_dim": 64, "hidden_act": "silu", "initial_context_length": 4096,
    "max_position_embeddings": 131072, "experts_per_token": 4, "num_experts_per_tok": 4,
    "rms_norm_eps": 1e-5, "rope_theta": 150000, "sliding_window": 128, "swiglu_limit": 7.0,
    "tie_word_embeddings": False,
    "rope_scaling": {
        "beta_fast": 32.0, "beta_slow": 1.0, "factor": 32.0,
        "original_max_position_embeddings": 4096, "rope_type": "yarn", "truncate": False},
}  # fmt: skip
GEMMA_3N = {
    "altup_active_idx": 0, "altup_coef_clip": 120.0, "altup_correct_scale": True,
    "altup_num_inputs": 4, "attention_bias": False, "final_logit_softcapping": 30.0,
    "head_dim": 256, "hidden_activation": "gelu_pytorch_tanh", "hidden_size_per_layer_input": 256,
    "laurel_rank": 64, "max_position_embeddings": 32768, "rms_norm_eps": 1e-6,
    "rope_local_base_freq": 10000.0, "rope_scaling": None, "rope_theta": 1000000.0,
    "sliding_window": 512, "vocab_size_per_layer_input": 262144,
}  # fmt: skip
LLAMA_4 = {
    "attention_bias": False, "attention_chunk_size": 8192, "attn_scale": 0.1,
    "attn_temperature_tuning": True, "floor_scale": 8192, "head_dim": 128, "hidden_act": "silu",
    "intermediate_size_mlp": 16384, "no_rope_layers": [1, 1, 1, 0] * 12, "num_experts_per_tok": 1,
    "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "tie_word_embeddings": False,
}  # fmt: skip
INDEXED = {
    "attention_bias": False, "hidden_act": "silu", "index_head_dim": 128, "index_topk": 2048,
    "kv_lora_rank": 512, "moe_intermediate_size": 2048, "moe_layer_freq": 1,
    "n_routed_experts": 256, "n_shared_experts": 1, "norm_topk_prob": True,
    "num_experts_per_tok": 8, "qk_rope_head_dim": 64, "routed_scaling_factor": 2.5,
    "scoring_func": "sigmoid", "tie_word_embeddings": False, "topk_method": "noaux_tc",
}  # fmt: skip

NEMOTRON_H = {
    "attention_bias": False, "chunk_size": 128, "conv_kernel": 4, "expand": 2,
    "layer_norm_epsilon": 1e-5, "mamba_head_dim": 64, "mamba_hidden_act": "silu",
    "mamba_proj_bias": False, "mlp_bias": False, "mlp_hidden_act": "relu2", "n_groups": 8,
    "ssm_state_size": 128, "tie_word_embeddings": False, "time_step_limit": [0.0, float("inf")],
    "time_step_min": 0.001, "use_bias": False, "use_conv_bias": True,
}  # fmt: skip

PUBLISHED: dict[str, tuple[str, dict[str, Any]]] = {
    # Gemma 3n
    "gemma-3n-E2B-it": ("gemma3n", {
        **sizes(2048, 8192, 30, 8, 2, 262400), **GEMMA_3N, "num_kv_shared_layers": 10,
        "intermediate_size": [8192] * 30, "activation_sparsity_pattern": [0.95] * 10 + [0.0] * 20,
        "layer_types": (["sliding_attention"] * 4 + ["full_attention"]) * 6}),
    "gemma-3n-E4B-it": ("gemma3n", {
        **sizes(2048, 16384, 35, 8, 2, 262400), **GEMMA_3N, "num_kv_shared_layers": 15,
        "intermediate_size": [16384] * 35, "activation_sparsity_pattern": [0.95] * 10 + [0.0] * 25,
        "layer_types": (["sliding_attention"] * 4 + ["full_attention"]) * 7}),
    # Llama 4
    "Llama-4-Scout-17B-16E-Instruct": ("llama4", {
        **sizes(5120, 8192, 48, 40, 8, 202048), **LLAMA_4, "num_local_experts": 16,
        "interleave_moe_layer_step": 1, "max_position_embeddings": 10485760, "use_qk_norm": True,
        "rope_scaling": {
            "factor": 16.0, "high_freq_factor": 1.0, "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192, "rope_type": "llama3"}}),
    "Llama-4-Maverick-17B-128E-Instruct": ("llama4", {
        **sizes(5120, 8192, 48, 40, 8, 202048), **LLAMA_4, "num_local_experts": 128,
        "interleave_moe_layer_step": 2, "max_position_embeddings": 1048576, "use_qk_norm": False,
        "rope_scaling": None}),
    # sparse attention
    "DeepSeek-V3.2": ("deepseek-v3.2", {
        **sizes(7168, 18432, 61, 128, 128, 129280), **INDEXED, "first_k_dense_replace": 3,
        "n_group": 8, "topk_group": 4, "q_lora_rank": 1536, "qk_nope_head_dim": 128,
        "v_head_dim": 128, "index_n_heads": 64, "max_position_embeddings": 163840,
        "rms_norm_eps": 1e-6, "rope_theta": 10000, "rope_scaling": {
            "beta_fast": 32, "beta_slow": 1, "factor": 40, "mscale": 1.0, "mscale_all_dim": 1.0,
            "original_max_position_embeddings": 4096, "type": "yarn"}}),
    "GLM-5": ("glm-dsa", {
        **sizes(6144, 12288, 78, 64, 64, 154880), **INDEXED, "first_k_dense_replace": 3,
        "n_group": 1, "topk_group": 1, "q_lora_rank": 2048, "qk_nope_head_dim": 192,
        "v_head_dim": 256, "index_n_heads": 32, "max_position_embeddings": 202752,
        "rms_norm_eps": 1e-5,
        "rope_parameters": {"rope_theta": 1000000, "rope_type": "default"}}),
    # OLMo
    "OLMo-1B-hf": ("olmo", {
        **sizes(2048, 8192, 16, 16, 16, 50304), "attention_bias": False, "clip_qkv": None,
        "hidden_act": "silu", "max_position_embeddings": 2048, "rope_scaling": None,
        "rope_theta": 10000.0, "tie_word_embeddings": True}),
    "OLMo-2-1124-7B": ("olmo2", {
        **sizes(4096, 11008, 32, 32, 32, 100352), "attention_bias": False, "hidden_act": "silu",
        "max_position_embeddings": 4096, "rms_norm_eps": 1e-6, "rope_scaling": None,
        "rope_theta": 500000, "tie_word_embeddings": False}),
    "Olmo-3-7B-Instruct": ("olmo3", {
        **sizes(4096, 11008, 32, 32, 32, 100278), "attention_bias": False, "hidden_act": "silu",
        "layer_types": (["sliding_attention"] * 3 + ["full_attention"]) * 8,
        "max_position_embeddings": 65536, "rms_norm_eps": 1e-6, "rope_theta": 500000,
        "rope_scaling": {
            "attention_factor": 1.2079441541679836, "beta_fast": 32.0, "beta_slow": 1.0,
            "factor": 8.0, "original_max_position_embeddings": 8192, "rope_type": "yarn"},
        "sliding_window": 4096, "tie_word_embeddings": False}),
    "OLMoE-1B-7B-0924": ("olmoe", {
        **sizes(2048, 1024, 16, 16, 16, 50304), "attention_bias": False, "clip_qkv": None,
        "hidden_act": "silu", "max_position_embeddings": 4096, "norm_topk_prob": False,
        "num_experts": 64, "num_experts_per_tok": 8, "rms_norm_eps": 1e-5, "rope_scaling": None,
        "rope_theta": 10000.0, "tie_word_embeddings": False}),
    # Command R
    "c4ai-command-r-v01": ("cohere", {
        **sizes(8192, 22528, 40, 64, 64, 256000), "attention_bias": False, "hidden_act": "silu",
        "layer_norm_eps": 1e-5, "logit_scale": 0.0625, "max_position_embeddings": 8192,
        "rope_theta": 8000000.0, "use_qk_norm": False}),
    "c4ai-command-r-plus": ("cohere", {
        **sizes(12288, 33792, 64, 96, 8, 256000), "attention_bias": False, "hidden_act": "silu",
        "layer_norm_eps": 1e-5, "logit_scale": 0.8333333333333334, "use_qk_norm": True,
        "max_position_embeddings": 8192, "rope_theta": 75000000.0}),
    "c4ai-command-r7b-12-2024": ("cohere2", {
        **sizes(4096, 14336, 32, 32, 8, 256000), "attention_bias": False, "head_dim": 128,
        "layer_norm_eps": 1e-5, "layer_switch": 4, "logit_scale": 0.25, "rotary_pct": 1.0,
        "max_position_embeddings": 8192, "rope_scaling": None, "rope_theta": 50000,
        "sliding_window": 4096}),
    # Seed-OSS, Arcee, Nemotron, EXAONE, StableLM
    "Seed-OSS-36B-Instruct": ("seed-oss", {
        **sizes(5120, 27648, 64, 80, 8, 155136), "attention_bias": True, "head_dim": 128,
        "attention_out_bias": False, "hidden_act": "silu", "max_position_embeddings": 524288,
        "mlp_bias": False, "rms_norm_eps": 1e-6, "rope_scaling": {"rope_type": "default"},
        "rope_theta": 10000000.0, "tie_word_embeddings": False}),
    "AFM-4.5B": ("arcee", {
        **sizes(2560, 18432, 36, 20, 4, 128004), "attention_bias": False, "head_dim": 128,
        "hidden_act": "relu2", "max_position_embeddings": 65536, "mlp_bias": False,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": False,
        "rope_scaling": {
            "beta_fast": 32.0, "beta_slow": 1.0, "factor": 20.0, "mscale": 1.0,
            "original_max_position_embeddings": 4096, "rope_type": "yarn", "type": "yarn"}}),
    "Nemotron-Mini-4B-Instruct": ("nemotron", {
        **sizes(3072, 9216, 32, 24, 8, 256000), "attention_bias": False, "head_dim": 128,
        "hidden_act": "relu2", "max_position_embeddings": 4096, "mlp_bias": False,
        "norm_eps": 1e-5, "partial_rotary_factor": 0.5, "rope_theta": 10000.0,
        "tie_word_embeddings": False}),
    "Nemotron-H-8B-Base-8K": ("nemotron-h", {
        **NEMOTRON_H, **sizes(4096, 21504, 52, 32, 8, 131072), "attention_head_dim": 128,
        "hybrid_override_pattern": "M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M-",
        "mamba_num_heads": 128, "max_position_embeddings": 8192}),
    "NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": ("nemotron-h-moe", {
        **NEMOTRON_H, **sizes(2688, 1856, 52, 32, 2, 131072), "head_dim": 128,
        "hybrid_override_pattern": "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
        "mamba_num_heads": 64, "max_position_embeddings": 262144, "moe_intermediate_size": 1856,
        "moe_shared_expert_intermediate_size": 3712, "n_group": 1, "n_routed_experts": 128,
        "n_shared_experts": 1, "norm_eps": 1e-5, "norm_topk_prob": True, "num_experts_per_tok": 6,
        "routed_scaling_factor": 2.5, "topk_group": 1}),
    "EXAONE-4.0-32B": ("exaone4", {
        **sizes(5120, 27392, 64, 40, 8, 102400), "head_dim": 128, "hidden_act": "silu",
        "layer_types": (["sliding_attention"] * 3 + ["full_attention"]) * 16,
        "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "rope_theta": 1000000,
        "rope_scaling": {**LLAMA3, "factor": 16.0}, "sliding_window": 4096,
        "sliding_window_pattern": "LLLG", "tie_word_embeddings": False}),
    "EXAONE-4.0-1.2B": ("exaone4", {
        **sizes(2048, 4096, 30, 32, 8, 102400), "head_dim": 64, "hidden_act": "silu",
        "layer_types": ["full_attention"] * 30, "max_position_embeddings": 65536,
        "rms_norm_eps": 1e-5, "rope_theta": 1000000, "rope_scaling": {**LLAMA3, "factor": 16.0},
        "sliding_window": None, "sliding_window_pattern": None, "tie_word_embeddings": True}),
    "stablelm-2-1_6b": ("stablelm", {
        **sizes(2048, 5632, 24, 32, 32, 100352), "hidden_act": "silu", "layer_norm_eps": 1e-5,
        "max_position_embeddings": 4096, "partial_rotary_factor": 0.25, "rope_theta": 10000,
        "tie_word_embeddings": False, "use_parallel_residual": False, "use_qkv_bias": True}),
    "stablelm-2-12b": ("stablelm", {
        **sizes(5120, 13824, 40, 32, 8, 100352), "hidden_act": "silu", "layer_norm_eps": 1e-5,
        "max_position_embeddings": 4096, "partial_rotary_factor": 0.25, "rope_theta": 10000,
        "qk_layernorm": True, "tie_word_embeddings": False, "use_parallel_residual": True,
        "use_qkv_bias": False}),
    # ERNIE 4.5, Apertus
    "ERNIE-4.5-0.3B-PT": ("ernie", {
        **sizes(1024, 3072, 18, 16, 2, 103424), "head_dim": 128, "hidden_act": "silu",
        "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
        "tie_word_embeddings": True, "use_bias": False}),
    "ERNIE-4.5-21B-A3B-PT": ("ernie-moe", {
        **sizes(2560, 12288, 28, 20, 4, 103424), "hidden_act": "silu",
        "max_position_embeddings": 131072, "moe_intermediate_size": 1536, "moe_k": 6,
        "moe_layer_end_index": 27, "moe_layer_interval": 1, "moe_layer_start_index": 1,
        "moe_num_experts": 64, "moe_num_shared_experts": 2, "rms_norm_eps": 1e-5,
        "rope_scaling": None, "rope_theta": 500000.0, "tie_word_embeddings": True,
        "use_bias": False}),
    "Apertus-8B-Instruct-2509": ("apertus", {
        **sizes(4096, 21504, 32, 32, 8, 131072), "attention_bias": False, "hidden_act": "xielu",
        "max_position_embeddings": 65536, "mlp_bias": False, "post_norm": False, "qk_norm": True,
        "rms_norm_eps": 1e-5, "rope_scaling": LLAMA3, "rope_theta": 12000000.0,
        "tie_word_embeddings": False}),
    # the first decoders
    "persimmon-8b-chat": ("persimmon", {
        **sizes(4096, 16384, 36, 64, None, 262144), "hidden_act": "relu2",
        "layer_norm_eps": 1e-5, "max_position_embeddings": 16384, "partial_rotary_factor": 0.5,
        "qk_layernorm": True, "rope_theta": 25000.0, "tie_word_embeddings": False}),
    "opt-125m": ("opt", {
        "hidden_size": 768, "ffn_dim": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
        "vocab_size": 50272, "activation_function": "relu", "do_layer_norm_before": True,
        "max_position_embeddings": 2048, "word_embed_proj_dim": 768}),
    "opt-350m": ("opt", {
        "hidden_size": 1024, "ffn_dim": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
        "vocab_size": 50272, "activation_function": "relu", "do_layer_norm_before": False,
        "max_position_embeddings": 2048, "word_embed_proj_dim": 512}),
    "codegen-350M-mono": ("codegen", {
        **gpt(1024, 20, 16, 2048, 51200), "activation_function": "gelu_new", "n_inner": None,
        "rotary_dim": 32, "tie_word_embeddings": False}),
    # GPT-OSS
    "gpt-oss-20b": ("gpt-oss", {
        **sizes(2880, 2880, 24, 64, 8, 201088), **GPT_OSS, "num_local_experts": 32,
        "layer_types": ["sliding_attention", "full_attention"] * 12}),
    "gpt-oss-120b": ("gpt-oss", {
        **sizes(2880, 2880, 36, 64, 8, 201088), **GPT_OSS, "num_local_experts": 128,
        "layer_types": ["sliding_attention", "full_attention"] * 18}),
    # DeepSeek
    "DeepSeek-V2-Lite": ("deepseek-v2", {
        **sizes(2048, 10944, 27, 16, 16, 102400), "first_k_dense_replace": 1,
        "kv_lora_rank": 512, "moe_intermediate_size": 1408, "moe_layer_freq": 1, "n_group": 1,
        "n_routed_experts": 64, "n_shared_experts": 2, "norm_topk_prob": False,
        "num_experts_per_tok": 6, "q_lora_rank": None, "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64, "rope_scaling": {**YARN, "mscale": 0.707, "mscale_all_dim": 0.707},
        "rope_theta": 10000, "routed_scaling_factor": 1.0, "scoring_func": "softmax",
        "topk_group": 1, "topk_method": "greedy", "v_head_dim": 128,
        "max_position_embeddings": 163840}),
    "DeepSeek-V2": ("deepseek-v2", {
        **sizes(5120, 12288, 60, 128, 128, 102400), "first_k_dense_replace": 1,
        "kv_lora_rank": 512, "moe_intermediate_size": 1536, "n_group": 8,
        "n_routed_experts": 160, "n_shared_experts": 2, "norm_topk_prob": False,
        "num_experts_per_tok": 6, "q_lora_rank": 1536, "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64, "rope_scaling": {**YARN, "mscale": 0.707, "mscale_all_dim": 0.707},
        "routed_scaling_factor": 16.0, "scoring_func": "softmax", "topk_group": 3,
        "topk_method": "group_limited_greedy", "v_head_dim": 128,
        "max_position_embeddings": 163840}),
    "DeepSeek-V3": ("deepseek-v3", {
        **sizes(7168, 18432, 61, 128, 128, 129280), "first_k_dense_replace": 3,
        "kv_lora_rank": 512, "moe_intermediate_size": 2048, "moe_layer_freq": 1, "n_group": 8,
        "n_routed_experts": 256, "n_shared_experts": 1, "norm_topk_prob": True,
        "num_experts_per_tok": 8, "num_nextn_predict_layers": 1, "q_lora_rank": 1536,
        "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
        "rope_scaling": {**YARN, "mscale": 1.0, "mscale_all_dim": 1.0}, "rope_theta": 10000,
        "routed_scaling_factor": 2.5, "scoring_func": "sigmoid", "topk_group": 4,
        "topk_method": "noaux_tc", "v_head_dim": 128, "max_position_embeddings": 163840}),
    "Moonlight-16B-A3B": ("deepseek-v3", {
        **sizes(2048, 11264, 27, 16, 16, 163840), "first_k_dense_replace": 1,
        "kv_lora_rank": 512, "moe_intermediate_size": 1408, "n_group": 1, "n_routed_experts": 64,
        "n_shared_experts": 2, "norm_topk_prob": True, "num_experts_per_tok": 6,
        "q_lora_rank": None, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
        "rms_norm_eps": 1e-5, "rope_theta": 50000.0, "routed_scaling_factor": 2.446,
        "scoring_func": "sigmoid", "topk_group": 1, "topk_method": "noaux_tc",
        "v_head_dim": 128, "max_position_embeddings": 8192}),
    "Kimi-K2-Instruct": ("deepseek-v3", {
        **sizes(7168, 18432, 61, 64, 64, 163840), "first_k_dense_replace": 1,
        "kv_lora_rank": 512, "moe_intermediate_size": 2048, "n_group": 1,
        "n_routed_experts": 384, "n_shared_experts": 1, "norm_topk_prob": True,
        "num_experts_per_tok": 8, "q_lora_rank": 1536, "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64, "rms_norm_eps": 1e-6, "rope_theta": 50000.0, "rope_scaling": {
            **YARN, "beta_fast": 1.0, "beta_slow": 1.0, "factor": 32.0, "mscale": 1.0,
            "mscale_all_dim": 1.0},
        "routed_scaling_factor": 2.827, "scoring_func": "sigmoid", "topk_group": 1,
        "topk_method": "noaux_tc", "v_head_dim": 128, "max_position_embeddings": 131072}),
    # models with a state
    "Qwen3-Next-80B-A3B-Instruct": ("qwen3-next", {
        **sizes(2048, 5120, 48, 16, 2, 151936), "attention_bias": False, "decoder_sparse_step": 1,
        "full_attention_interval": 4, "head_dim": 256, "hidden_act": "silu",
        "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128, "linear_num_key_heads": 16,
        "linear_num_value_heads": 32, "linear_value_head_dim": 128,
        "max_position_embeddings": 262144, "mlp_only_layers": [], "moe_intermediate_size": 512,
        "norm_topk_prob": True, "num_experts": 512, "num_experts_per_tok": 10,
        "partial_rotary_factor": 0.25, "rms_norm_eps": 1e-6, "rope_scaling": None,
        "rope_theta": 10000000, "shared_expert_intermediate_size": 512,
        "tie_word_embeddings": False}),
    "granite-4.0-h-tiny": ("granite-4", {
        **sizes(1536, 512, 40, 12, 4, 100352), "attention_bias": False,
        "attention_multiplier": 0.0078125, "embedding_multiplier": 12, "logits_scaling": 6,
        "layer_types": ["attention" if i in (5, 15, 25, 35) else "mamba" for i in range(40)],
        "mamba_chunk_size": 256, "mamba_conv_bias": True, "mamba_d_conv": 4, "mamba_d_head": 64,
        "mamba_d_state": 128, "mamba_expand": 2, "mamba_n_groups": 1, "mamba_n_heads": 48,
        "mamba_proj_bias": False, "max_position_embeddings": 131072, "num_experts_per_tok": 6,
        "num_local_experts": 64, "position_embedding_type": "nope", "residual_multiplier": 0.22,
        "rms_norm_eps": 1e-5, "rope_theta": 10000, "shared_intermediate_size": 1024,
        "tie_word_embeddings": True}),
    "mamba-130m-hf": ("mamba", {
        "vocab_size": 50280, "hidden_size": 768, "num_hidden_layers": 24, "conv_kernel": 4,
        "expand": 2, "hidden_act": "silu", "intermediate_size": 1536, "layer_norm_epsilon": 1e-5,
        "residual_in_fp32": True, "state_size": 16, "time_step_floor": 0.0001,
        "time_step_max": 0.1, "time_step_min": 0.001, "time_step_rank": 48, "use_bias": False,
        "use_conv_bias": True, "rms_norm": True, "fused_add_norm": True, "d_model": 768,
        "n_layer": 24, "d_inner": 1536}),
    "Mamba-Codestral-7B-v0.1": ("mamba2", {
        "vocab_size": 32768, "hidden_size": 4096, "num_hidden_layers": 64, "chunk_size": 256,
        "conv_kernel": 4, "expand": 2, "head_dim": 64, "hidden_act": "silu",
        "intermediate_size": 8192, "layer_norm_epsilon": 1e-5, "n_groups": 8,
        "norm_before_gate": True, "num_heads": 128, "residual_in_fp32": True, "rms_norm": True,
        "state_size": 128, "tie_word_embeddings": False, "time_step_limit": [0.0, float("inf")],
        "time_step_min": 0.001, "use_bias": False, "use_conv_bias": True}),
    "falcon-mamba-7b": ("falcon-mamba", {
        "vocab_size": 65024, "hidden_size": 4096, "num_hidden_layers": 64, "conv_kernel": 4,
        "expand": 16, "hidden_act": "silu", "intermediate_size": 8192,
        "layer_norm_epsilon": 1e-5, "mixer_rms_eps": 1e-6, "rescale_prenorm_residual": False,
        "residual_in_fp32": True, "state_size": 16, "tie_word_embeddings": False,
        "time_step_rank": 256, "use_bias": False, "use_conv_bias": True}),
    "Bamba-9B-v1": ("bamba", {
        **sizes(4096, 14336, 32, 32, 8, 128256), "attn_layer_indices": [9, 18, 27],
        "attn_rotary_emb": 64, "attention_bias": False, "hidden_act": "silu",
        "mamba_chunk_size": 256, "mamba_conv_bias": True, "mamba_d_conv": 4, "mamba_d_head": 64,
        "mamba_d_state": 128, "mamba_expand": 2, "mamba_n_groups": 1, "mamba_n_heads": 128,
        "mamba_proj_bias": False, "max_position_embeddings": 262144, "mlp_bias": False,
        "num_logits_to_keep": 1, "partial_rotary_factor": 0.5, "rms_norm_eps": 1e-5,
        "rope_scaling": None, "rope_theta": 10000.0, "tie_word_embeddings": False}),
    "MiniMax-Text-01-hf": ("minimax", {
        **sizes(6144, 9216, 80, 64, 8, 200064), "head_dim": 128, "block_size": 256,
        "full_attn_alpha_factor": 3.5565588200778455, "full_attn_beta_factor": 1.0,
        "hidden_act": "silu", "layer_types": (["linear_attention"] * 7 + ["full_attention"]) * 10,
        "linear_attn_alpha_factor": 3.5565588200778455, "linear_attn_beta_factor": 1.0,
        "max_position_embeddings": 10240000, "mlp_alpha_factor": 3.5565588200778455,
        "mlp_beta_factor": 1.0, "num_experts_per_tok": 2, "num_local_experts": 32,
        "rms_norm_eps": 1e-5, "rope_theta": 10000000, "rotary_dim": 64, "sliding_window": None,
        "tie_word_embeddings": False}),
    "Zamba2-2.7B": ("zamba2", {
        **sizes(2560, 10240, 54, 32, 32, 32000), "adapter_rank": 128, "add_bias_linear": False,
        "attention_head_dim": 160, "attention_hidden_size": 5120, "chunk_size": 256,
        "hidden_act": "gelu", "mamba_d_conv": 4, "mamba_d_state": 64, "mamba_expand": 2,
        "mamba_headdim": 64, "mamba_ngroups": 1, "max_position_embeddings": 4096,
        "n_mamba_heads": 80, "num_mem_blocks": 2, "rms_norm_eps": 1e-5, "rope_theta": 10000,
        "use_conv_bias": True, "use_long_context": False, "use_mem_rope": False,
        "use_shared_attention_adapter": False}),
    "Zamba2-7B": ("zamba2", {
        **sizes(3584, 14336, 81, 32, 32, 32000), "adapter_rank": 128, "add_bias_linear": False,
        "attention_head_dim": 224, "attention_hidden_size": 7168, "hidden_act": "gelu",
        "layers_block_type": ["hybrid" if index in (6, *range(11, 81, 6)) else "mamba"
                              for index in range(81)],
        "mamba_d_conv": 4, "mamba_d_state": 64, "mamba_expand": 2, "mamba_headdim": 64,
        "mamba_ngroups": 2, "max_position_embeddings": 4096, "n_mamba_heads": 112,
        "num_mem_blocks": 2, "rms_norm_eps": 1e-5, "rope_theta": 10000, "use_conv_bias": True,
        "use_long_context": False, "use_mem_rope": True, "use_shared_attention_adapter": False}),
    "AI21-Jamba-1.5-Mini": ("jamba", {
        **sizes(4096, 14336, 32, 32, 8, 65536), "attn_layer_offset": 4, "attn_layer_period": 8,
        "expert_layer_offset": 1, "expert_layer_period": 2, "hidden_act": "silu",
        "mamba_conv_bias": True, "mamba_d_conv": 4, "mamba_d_state": 16, "mamba_dt_rank": 256,
        "mamba_expand": 2, "mamba_proj_bias": False, "max_position_embeddings": 262144,
        "num_experts": 16, "num_experts_per_tok": 2, "num_logits_to_keep": 1,
        "rms_norm_eps": 1e-6, "tie_word_embeddings": False, "use_mamba_kernels": True}),
    "AI21-Jamba-Reasoning-3B": ("jamba", {
        **sizes(2560, 8192, 28, 20, 1, 65536), "attn_layer_offset": 7, "attn_layer_period": 14,
        "expert_layer_offset": 1, "expert_layer_period": 2, "hidden_act": "silu",
        "mamba_conv_bias": True, "mamba_d_conv": 4, "mamba_d_state": 16, "mamba_dt_rank": 160,
        "mamba_expand": 2, "mamba_proj_bias": False, "max_position_embeddings": 262144,
        "num_experts": 1, "num_experts_per_tok": 1, "rms_norm_eps": 1e-6,
        "tie_word_embeddings": True}),
    "LFM2-1.2B": ("lfm2", {
        "vocab_size": 65536, "hidden_size": 2048, "num_hidden_layers": 16,
        "num_attention_heads": 32, "num_key_value_heads": 8, "block_auto_adjust_ff_dim": True,
        "block_ff_dim": 12288, "block_ffn_dim_multiplier": 1.0, "block_multiple_of": 256,
        "conv_L_cache": 3, "conv_bias": False, "full_attn_idxs": [2, 5, 8, 10, 12, 14],
        "max_position_embeddings": 128000, "norm_eps": 1e-5, "rope_theta": 1000000.0,
        "tie_embedding": True}),
    "Kimi-Linear-48B-A3B": ("kimi-linear", {
        "vocab_size": 163840, "hidden_size": 2304, "intermediate_size": 9216,
        "num_hidden_layers": 27, "num_attention_heads": 32, "num_key_value_heads": 32,
        "head_dim": 72, "first_k_dense_replace": 1, "kv_lora_rank": 512, "q_lora_rank": None,
        "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "mla_use_nope": True,
        "linear_attn_config": {
            "full_attn_layers": [4, 8, 12, 16, 20, 24, 27], "head_dim": 128, "num_heads": 32,
            "kda_layers": [1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 17, 18, 19, 21, 22, 23, 25,
                           26],
            "short_conv_kernel_size": 4},
        "model_max_length": 1048576, "moe_intermediate_size": 1024, "moe_layer_freq": 1,
        "moe_renormalize": True, "moe_router_activation_func": "sigmoid", "num_expert_group": 1,
        "num_experts": 256, "num_experts_per_token": 8, "num_nextn_predict_layers": 0,
        "num_shared_experts": 1, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "routed_scaling_factor": 2.446, "tie_word_embeddings": False,
        "topk_group": 1, "use_grouped_topk": True}),
    "MiniCPM3-4B": ("minicpm3", {
        **sizes(2560, 6400, 62, 40, 40, 73448), "attention_bias": False, "dim_model_base": 256,
        "hidden_act": "silu", "kv_lora_rank": 256, "max_position_embeddings": 32768,
        "q_lora_rank": 768, "qk_nope_head_dim": 64, "qk_rope_head_dim": 32, "rms_norm_eps": 1e-5,
        "scale_depth": 1.4, "scale_emb": 12, "rope_scaling": {
            "type": "longrope", "long_factor": [1.0 + i / 5 for i in range(16)],
            "short_factor": [1.0 + i / 9 for i in range(16)],
            "original_max_position_embeddings": 32768}}),
    "Jais-2-8B-Chat": ("jais2", {
        **sizes(3328, 26624, 32, 26, 26, 150272), "attention_bias": True, "head_dim": 128,
        "hidden_act": "relu2", "layer_norm_eps": 1e-5, "max_position_embeddings": 8192,
        "mlp_bias": True, "rope_theta": 500000, "tie_word_embeddings": False}),
    "xglm-564M": ("xglm", {
        "activation_function": "gelu", "add_cross_attention": False, "attention_heads": 16,
        "d_model": 1024, "ffn_dim": 4096, "max_position_embeddings": 2048, "num_layers": 24,
        "scale_embedding": True, "vocab_size": 256008}),
}  # fmt: skip
