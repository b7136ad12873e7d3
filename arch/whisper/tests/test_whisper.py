"""Whisper's published configurations, its features, its tokens, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tokenizers
import transformers
from tokenizers import models
from tramontane.config import read_config
from tramontane.errors import ConfigError, RequestError
from tramontane.tokenizer.tokenizer import Tokenizer
from tramontane_arch_whisper.config import WhisperConfig
from tramontane_arch_whisper.languages import CODES, LANGUAGES, code_of
from tramontane_arch_whisper.sounds import WhisperSounds
from tramontane_arch_whisper.special import SpecialTokens
from transformers.models.whisper.tokenization_whisper import LANGUAGES as THEIRS
from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

TURBO: dict[str, Any] = {  # of whisper-large-v3-turbo, whose num_hidden_layers is the encoder's
    "activation_dropout": 0.0, "activation_function": "gelu", "d_model": 1280,
    "decoder_attention_heads": 20, "decoder_ffn_dim": 5120, "decoder_layers": 4,
    "decoder_start_token_id": 50258, "encoder_attention_heads": 20, "encoder_ffn_dim": 5120,
    "encoder_layers": 32, "max_source_positions": 1500, "max_target_positions": 448,
    "num_hidden_layers": 32, "num_mel_bins": 128, "scale_embedding": False, "vocab_size": 51866,
}  # fmt: skip


def test_a_published_configuration() -> None:
    told = read_config(WhisperConfig, TURBO)
    assert (told.num_hidden_layers, told.audio_config.num_hidden_layers) == (4, 32)
    assert (told.hidden_size, told.head_dim, told.num_key_value_heads) == (1280, 64, 20)
    assert (told.max_position_embeddings, told.tie_word_embeddings) == (448, True)
    assert told.audio_config.frames == 3000


def test_an_empty_configuration_is_the_tiny_one() -> None:
    theirs = transformers.WhisperConfig().to_dict()
    assert read_config(WhisperConfig, theirs) == read_config(WhisperConfig, {})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"num_attention_heads": 3}, "num_attention_heads 3 is not encoder_attention_heads 20"),
        ({"activation_function": "tanh"}, "hidden_act"),
        ({"decoder_attention_heads": 7}, "not a multiple"),
        ({"d_model": "x"}, "hidden_size"),
    ],
)
def test_configurations_of_models_that_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_config(WhisperConfig, TURBO | change)


@pytest.mark.parametrize("bands", [80, 128])
@pytest.mark.parametrize("count", [1, 40_000, 480_000])
def test_features_have_the_bits_of_transformers(bands: int, count: int) -> None:
    sounds = WhisperSounds(read_config(WhisperConfig, {"num_mel_bins": bands}), {})
    samples = np.random.default_rng(count).normal(0, 0.1, count).astype(np.float32)
    extract = transformers.WhisperFeatureExtractor(feature_size=bands)
    expected = extract(samples, sampling_rate=16_000, return_tensors="np")["input_features"][0]
    item = sounds.prepare(samples)
    np.testing.assert_array_equal(item.arrays["features"], expected)
    assert (item.rows, item.cross) == (1, 1500)


def test_a_sound_of_more_than_a_window_is_none_of_a_prompt() -> None:
    sounds = WhisperSounds(read_config(WhisperConfig, {}), {})
    with pytest.raises(ValueError, match="31 seconds long, and the model hears 30 at once"):
        sounds.prepare(np.zeros(31 * 16_000, np.float32))


def test_languages() -> None:
    assert LANGUAGES == THEIRS
    assert CODES == TO_LANGUAGE_CODE
    assert [code_of(each) for each in ("German", " DE ", "Castilian", "xx")] == [
        "de", "de", "es", "xx",
    ]  # fmt: skip


def vocabulary() -> Tokenizer:
    inner = tokenizers.Tokenizer(models.BPE({"a": 0}, []))
    inner.add_special_tokens([
        "<|endoftext|>", "<|startoftranscript|>", "<|de|>", "<|yue|>", "<|transcribe|>",
        "<|translate|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>",
    ])  # fmt: skip
    return Tokenizer(inner)


def test_tokens_that_the_configuration_does_not_have_are_the_tokenizers() -> None:
    found = SpecialTokens.of({}, vocabulary(), 20)
    assert (found.start, found.end, found.no_timestamps, found.previous) == (2, 1, 9, 7)
    assert (found.languages, found.tasks) == (
        {"de": 3, "yue": 4},
        {"transcribe": 5, "translate": 6},
    )
    english = SpecialTokens.of({"is_multilingual": False}, vocabulary(), 20)
    assert (english.languages, english.task(translate=False)) == ({}, None)
    with pytest.raises(RequestError, match="translates nothing"):
        english.task(translate=True)
    with pytest.raises(RequestError, match="knows English alone"):
        english.language("de")
    with pytest.raises(RequestError, match="no language 'klingon'; it knows de, yue"):
        found.language("klingon")
    assert found.language("Cantonese") == "yue"


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"no_timestamps_token_id": 99}, "no_timestamps_token_id has 99, which is no token"),
        ({"eos_token_id": "x"}, "eos_token_id has 'x'"),
        ({"suppress_tokens": 3}, "suppress_tokens should be a list"),
        ({"suppress_tokens": [-1]}, "suppress_tokens has -1"),
        ({"lang_to_id": [1]}, "lang_to_id should be token ids by name"),
        ({"lang_to_id": {"<|de|>": True}}, "lang_to_id has True"),
        ({"max_initial_timestamp_index": -3}, "should be a whole number from 0, not -3"),
    ],
)
def test_configurations_that_are_refused(told: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        SpecialTokens.of(told, vocabulary(), 20)


def test_a_checkpoint_that_says_nothing_of_transcripts_is_refused() -> None:
    bare = Tokenizer(tokenizers.Tokenizer(models.BPE({"a": 0}, [])))
    with pytest.raises(ConfigError, match=r"neither generation_config\.json has no_tim"):
        SpecialTokens.of({}, bare, 20)
