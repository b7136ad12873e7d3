"""Sounds against transformers: features, counts of rows, and logits of prompts with them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors.torch import load_file, save_file
from tramontane import LLM
from tramontane.cli.chat import command
from tramontane.cli.conversation import Conversation
from tramontane.cli.run import run
from tramontane.errors import RequestError, UsageError
from tramontane.sampling_params import SamplingParams

from .compared import DEVICES, differences
from .folders import write
from .sounds import HEARING, heard, prepared, sound


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", HEARING)
def test_logits_and_tokens(name: str, device: str, tmp_path: Path) -> None:
    for found in differences(HEARING[name], tmp_path, (device,), heard):
        assert found.logits < 1e-4, found
        assert found.tokens, found


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
