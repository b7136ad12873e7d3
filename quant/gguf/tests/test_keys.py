"""Each key that llama.cpp's converter writes for a family of ours is read, or does not count.

Source: llama.cpp's `conversion/`, of each family and of what they have in common.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import gguf
import pytest
from tramontane_quant_gguf import config, rope
from tramontane_quant_gguf.config import REFUSED, WORDS

READ_APART = {
    "attention.sliding_window_pattern": config,
    "nextn_predict_layers": config,
    "rope.scaling.type": rope,
    "rope.scaling.factor": rope,
    "rope.scale_linear": rope,
    "rope.scaling.attn_factor": rope,
    "rope.scaling.original_context_length": rope,
    "rope.scaling.yarn_ext_factor": rope,
    "rope.scaling.yarn_attn_factor": rope,
    "rope.scaling.yarn_beta_fast": rope,
    "rope.scaling.yarn_beta_slow": rope,
    "rope.scaling.yarn_log_multiplier": rope,
}
"""Keys that are more than another word for something, and the module that reads each."""

WITHOUT_EFFECT = {
    "rope.dimension_sections": "of pictures; a text's positions are the same in all of them",
    "tensor_data_layout": "how the converter got there",
    "ssm.conv_kernel": "Granite 4 without Mamba layers has them all the same",
    "ssm.state_size": "as ssm.conv_kernel",
    "ssm.group_count": "as ssm.conv_kernel",
    "ssm.inner_size": "as ssm.conv_kernel",
    "ssm.time_step_rank": "as ssm.conv_kernel",
    "deepstack_mapping": "of pictures",
    "pooling_type": "of embeddings and rerankers made of a family, which have no head",
    "classifier.output_labels": "as pooling_type",
    "attention.value_length_swa": "as long as the keys",
    "attention.indexer.head_count": "of what chooses tokens in long contexts, which are refused",
    "attention.indexer.key_length": "as attention.indexer.head_count",
    "rope.dimension_count_swa": "all of them, in every model",
}

OF_THE_FAMILY = {
    "attention.key_length_swa": "gemma4",
    "attention.shared_kv_layers": "gemma4",
    "embedding_length_per_layer_input": "gemma4",
    "activation_sparsity_scale": "gemma3n",
    "altup.active_idx": "gemma3n",
    "altup.num_inputs": "gemma3n",
    "attention.indexer.top_k": "glm-dsa",
}
"""Keys that a family's distribution reads itself, from the metadata."""

WRITTEN = [
    # what all architectures share
    "block_count", "context_length", "embedding_length", "feed_forward_length",
    "attention.head_count", "attention.head_count_kv", "attention.causal",
    "attention.key_length", "attention.value_length", "attention.layer_norm_rms_epsilon",
    "attention.layer_norm_epsilon", "rope.freq_base", "rope.freq_base_swa",
    "rope.dimension_count", "rope.dimension_sections", "rope.scaling.type",
    "rope.scaling.factor", "rope.scaling.original_context_length",
    "rope.scaling.yarn_ext_factor", "rope.scaling.yarn_attn_factor",
    "rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow", "expert_count",
    "expert_used_count", "expert_group_count", "expert_group_used_count", "expert_gating_func",
    "vocab_size",
    # llama, phi3, gemma2, gemma3
    "tensor_data_layout", "rope.scaling.attn_factor", "attention.sliding_window",
    "attention.sliding_window_pattern", "attn_logit_softcapping", "final_logit_softcapping",
    # gptneox, mpt
    "use_parallel_residual", "attention.clamp_kqv", "attention.max_alibi_bias",
    # granite
    "attention.scale", "embedding_scale", "residual_scale", "logit_scale",
    "rope.scaling.finetuned", "ssm.conv_kernel", "ssm.state_size", "ssm.group_count",
    "ssm.inner_size", "ssm.time_step_rank", "deepstack_mapping",
    # experts: qwen2moe, qwen3moe, glm4moe, deepseek2
    "expert_feed_forward_length", "expert_shared_feed_forward_length", "expert_shared_count",
    "expert_weights_scale", "expert_weights_norm", "leading_dense_block_count",
    "nextn_predict_layers", "attention.q_lora_rank", "attention.kv_lora_rank",
    "attention.key_length_mla", "attention.value_length_mla", "attention.temperature_scale",
    "rope.scaling.yarn_log_multiplier",
    # ernie4_5-moe
    "interleave_moe_layer_step",
    # gemma4
    "attention.key_length_swa", "attention.value_length_swa", "rope.dimension_count_swa",
    "attention.shared_kv_layers", "embedding_length_per_layer_input",
    # gemma3n
    "activation_sparsity_scale", "altup.active_idx", "altup.num_inputs",
    # glm-dsa
    "attention.indexer.head_count", "attention.indexer.key_length", "attention.indexer.top_k",
    # what is made of qwen2 and qwen3
    "pooling_type", "classifier.output_labels",
]  # fmt: skip


def names(keys: type) -> Iterator[str]:
    """The package's keys below an architecture's name."""
    for value in vars(keys).values():
        if isinstance(value, type):
            yield from names(value)
        elif isinstance(value, str) and value.startswith("{arch}."):
            yield value.removeprefix("{arch}.")


KNOWN = set(names(gguf.Keys))


@pytest.mark.parametrize("key", WRITTEN)
def test_keys_that_the_converter_writes(key: str) -> None:
    newer = {"deepstack_mapping"}  # than the package
    assert key in KNOWN | newer
    if key in READ_APART:
        assert f'"{key}"' in inspect.getsource(READ_APART[key]) or f".{key}" in inspect.getsource(
            READ_APART[key]
        )
        return
    places: list[Any] = [WORDS, REFUSED, WITHOUT_EFFECT, OF_THE_FAMILY]
    assert sum(key in place for place in places) == 1


def test_nothing_is_read_that_no_converter_knows() -> None:
    older = {"rope.scale_linear"}
    newer = {"attention.temperature_scale", "attention.value_scale"}
    assert (WORDS.keys() | REFUSED.keys() | READ_APART.keys()) - KNOWN - older - newer == set()
