"""Voxtral's configuration, its built-in chat template, and checkpoints that have none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tramontane.chat.template import ChatTemplate
from tramontane.config import read_config
from tramontane.errors import ConfigError
from tramontane_arch_llama.voxtral import TEMPLATE, VoxtralConfig, VoxtralSounds

PUBLISHED = {  # of Voxtral-Mini-3B-2507, with the text part outside
    "audio_token_id": 24, "hidden_size": 3072, "projector_hidden_act": "gelu",
    "audio_config": {
        "activation_function": "gelu", "head_dim": 64, "hidden_size": 1280,
        "intermediate_size": 5120, "max_source_positions": 1500, "model_type": "voxtral_encoder",
        "num_attention_heads": 20, "num_hidden_layers": 32, "num_key_value_heads": 20,
        "num_mel_bins": 128, "scale_embedding": False, "vocab_size": 51866,
    },
    "attention_bias": False, "head_dim": 128, "hidden_act": "silu", "intermediate_size": 8192,
    "max_position_embeddings": 131072, "mlp_bias": False, "model_type": "llama",
    "num_attention_heads": 32, "num_hidden_layers": 30, "num_key_value_heads": 8,
    "rms_norm_eps": 1e-05, "rope_scaling": None, "rope_theta": 100000000.0, "vocab_size": 131072,
}  # fmt: skip


def test_what_a_short_configuration_means_is_what_is_published() -> None:
    whole, short = (read_config(VoxtralConfig, values) for values in (PUBLISHED, {}))
    assert whole == short
    assert whole.rows == 375


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"model_type": "mistral"}, "model_type='mistral'"),
        ({"audio_config": {"intermediate_size": 4096, "max_source_positions": 3}}, "no multiple"),
        ({"audio_config": {"num_attention_heads": 7}}, "hidden_size 1280 is not a multiple"),
        ({"audio_config": {"activation_function": "tanh"}}, "activation_function"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_config(VoxtralConfig, values)


@pytest.mark.parametrize(("samples", "rows"), [(1, 375), (480_000, 375), (480_001, 750)])
def test_rows_of_a_sound(samples: int, rows: int) -> None:
    sounds = VoxtralSounds(read_config(VoxtralConfig, {}), {})
    assert sounds.prepare(np.zeros(samples, np.float32)).rows == rows


SOUND, TEXT = {"type": "audio"}, {"type": "text", "text": "Hi"}


@pytest.mark.parametrize(
    ("messages", "expected"),  # tokens of mistral-common 1.13.1 for version v7 are these
    [
        ([("user", [SOUND, TEXT])], "<s>[INST][BEGIN_AUDIO][AUDIO]Hi[/INST]"),
        ([("user", "Hi")], "<s>[INST]Hi[/INST]"),
        (
            [("user", [SOUND, SOUND, TEXT]), ("assistant", "No."), ("user", [TEXT, SOUND])],
            "<s>[INST][BEGIN_AUDIO][AUDIO][BEGIN_AUDIO][AUDIO]Hi[/INST]No.</s>"
            "[INST]Hi[BEGIN_AUDIO][AUDIO][/INST]",
        ),
        (
            [("system", "Be brief."), ("user", [TEXT])],
            "<s>[SYSTEM_PROMPT]Be brief.[/SYSTEM_PROMPT][INST]Hi[/INST]",
        ),
    ],
)
def test_the_template(messages: Any, expected: str) -> None:
    template = ChatTemplate(TEMPLATE, named={"bos_token": "<s>", "eos_token": "</s>"})
    said = [{"role": role, "content": content} for role, content in messages]
    assert template.render(said) == expected
