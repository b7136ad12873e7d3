"""Sounds against transformers: features, counts of rows, and logits of prompts with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from safetensors.torch import load_file, save_file
from tramontane import LLM
from tramontane.cli.chat import command
from tramontane.cli.conversation import Conversation
from tramontane.cli.run import run
from tramontane.engine.request import Request
from tramontane.errors import RequestError, UsageError
from tramontane.media.item import MediaItem
from tramontane.sampling_params import SamplingParams

from .compared import CASES, GREEDY, reference, request
from .folders import write
from .sounds import HEARING, Hearing, sound


def sounds(name: str) -> list[Any]:
    """A short one, silence, and one of more than a piece."""
    if "published" in name:
        return [sound(31.0), np.zeros(4000, np.float32), sound(0.9, 2)]
    return [sound(0.71), np.zeros(4000, np.float32), sound(2.3, 2)]


def prepared(llm: LLM, hearing: Hearing, samples: Any) -> MediaItem:
    """An item whose arrays have the bits of transformers'."""
    item = llm.inner.processors["audio"].prepare(samples)
    arrays, rows = hearing.extract(samples)
    assert item.rows == rows
    assert item.arrays.keys() == arrays.keys()
    for key, array in arrays.items():
        np.testing.assert_array_equal(item.arrays[key], array)
    return item


@pytest.mark.parametrize("device", ["reference", "cpu"])
@pytest.mark.parametrize("name", HEARING)
def test_logits_and_tokens(name: str, device: str, tmp_path: Path) -> None:
    hearing = HEARING[name]
    theirs = write(tmp_path, hearing)
    with LLM(tmp_path, device=device, dtype="f32", activations="f32", kv_type="f32") as llm:
        items = [prepared(llm, hearing, samples) for samples in sounds(name)]
        row = llm.inner.tokenizer.inner.token_to_id(hearing.row)
        greedy = GREEDY.model_copy(update={"suppress_tokens": (row,)})
        for count, text in ((1, "{0} what?"), (1, "is {0}"), (3, CASES["three among words"][1])):
            asked = request(llm, text.format(hearing.mark), items[:count], params=greedy)
            scored = Request(
                prompt=asked.prompt, media=asked.media, prompt_logits=True,
                params=SamplingParams(max_tokens=0, temperature=0),
            )  # fmt: skip
            (found,) = llm._results([scored])
            assert found.error is None
            expected, tokens = reference(theirs, hearing, asked.prompt, items[:count], row)
            error = np.abs(found.prompt_logits - expected).max() / np.abs(expected).max()
            assert error < 1e-4, (text, error)
            (answer,) = llm._results([asked])
            assert answer.token_ids == tokens
            assert answer.usage.audio_tokens == sum(item.rows for item in items[:count])


def test_a_checkpoint_without_a_template_has_the_familys(tmp_path: Path) -> None:
    write(tmp_path, HEARING["voxtral"])
    (tmp_path / "chat_template.jinja").unlink()
    with LLM(tmp_path) as llm:
        part = {"type": "audio", "audio": sound(0.4, rate=8000), "sampling_rate": 8000}
        asked = [{"role": "user", "content": [part, {"type": "text", "text": "what?"}]}]
        answer = llm.chat(asked, max_tokens=2, temperature=0)
        assert answer.usage.audio_tokens == 25
        with pytest.raises(RequestError, match="is an image, but this model takes text and sounds"):
            llm.chat([{"role": "user", "content": [{"type": "image", "image": b""}]}])


def test_settings_of_a_newer_processors_file(tmp_path: Path) -> None:
    hearing = HEARING["qwen2-audio"]
    write(tmp_path, hearing)
    older = tmp_path / "preprocessor_config.json"
    told = {"feature_extractor": json.loads(older.read_text()), "processor_class": "any"}
    older.unlink()
    (tmp_path / "processor_config.json").write_text(json.dumps(told))
    with LLM(tmp_path) as llm:
        prepared(llm, hearing, sound(0.5))


def test_without_its_encoder_a_checkpoint_is_read_as_text(tmp_path: Path) -> None:
    write(tmp_path, HEARING["gemma3n"])
    file = tmp_path / "model.safetensors"
    kept = {name: each for name, each in load_file(file).items() if "audio" not in name}
    save_file(kept, file, {"format": "pt"})
    with LLM(tmp_path) as llm:
        assert not llm.inner.processors
        part = {"type": "audio", "audio": np.zeros(9), "sampling_rate": 8000}
        with pytest.raises(RequestError, match="is a sound, but this model takes text only"):
            llm.chat([{"role": "user", "content": [part]}])


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, HEARING["voxtral"])
    file = tmp_path / "a.wav"
    soundfile.write(file, sound(0.4), 16_000)
    asked = ["-m", str(tmp_path), "-n", "1", "--json", "-i", "what?"]
    assert run([*asked, "--audio", str(file), "--audio", str(file)]) == 0
    assert json.loads(capsys.readouterr().out)["usage"]["audio_tokens"] == 50
    with pytest.raises(RequestError, match="is an image, but this model takes text and sounds"):
        run([*asked, "--image", str(file)])
    with pytest.raises(UsageError, match="--audio needs the chat template"):
        run([*asked[:-3], "-i", "what?", "--audio", str(file), "--no-template"])
    with LLM(tmp_path) as llm:
        conversation = Conversation(llm)
        command(f"/audio {file}", conversation, SamplingParams())
        assert [each.kind for each in conversation.attached] == ["audio"]
        command("/audio", conversation, SamplingParams())
    assert "/audio needs the name of a file" in capsys.readouterr().out
