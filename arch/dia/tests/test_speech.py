"""Texts to sounds: the task, its parts, voices, and what is refused."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from tramontane import SpeechModel, load
from tramontane.errors import CheckpointError, ConfigError, ModelNotFound, RequestError
from tramontane.tasks.queue import Progress
from tramontane.tasks.speech import AsyncSpeechModel
from tramontane_arch_dia.codec import WINDOW
from tramontane_arch_dia.frames import FrameLoop, Speech
from tramontane_arch_dia.speech import DiaSpeech
from tramontane_arch_dia.voices import voices_of

from .dia_folder import TEXT, random_dac, random_dia, write_folder

GIVEN: dict[str, Any] = {"seed": 3, "max_seconds": 0.8, "extra": {"temperature": 1.3}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("dia"), random_dia(), random_dac())


def words(path: Path, text: str, seconds: float = 0.5) -> None:
    """A voice, 22,050 samples a second in two channels."""
    wave = np.random.default_rng(2).normal(size=(int(22_050 * seconds), 2)) / 4
    soundfile.write(path, wave, 22_050)
    path.with_suffix(".txt").write_text(text)


@pytest.fixture(scope="module")
def model(folder: Path) -> Iterator[SpeechModel]:
    voices = folder / "voices"
    voices.mkdir()
    words(voices / "ada.wav", "[S1] I am Ada.")
    words(voices / "bo.flac", "I am Bo.")
    with load(folder, device="reference", running=3) as found:
        assert isinstance(found, SpeechModel)
        yield found


def test_a_sound_and_its_parts(model: SpeechModel) -> None:
    seen: list[Progress] = []
    whole = model.speak(TEXT, progress=seen.append, **GIVEN)
    assert whole.rate == model.runner.rate == 44_100
    assert len(whole.samples) == 512 * int(0.8 * 44_100 / 512)
    assert (whole.seed, whole.samples.dtype) == (3, np.float32)
    assert np.abs(whole.samples).max() <= 1
    assert {each.what for each in seen} == {"frames"}
    assert all(each.done <= each.total for each in seen)
    parts = [each.samples for each in model.stream(TEXT, **GIVEN)]
    assert len(parts) == 2
    assert len(parts[0]) == 512 * WINDOW
    assert np.array_equal(np.concatenate(parts), whole.samples)


def test_a_sound_is_what_the_codec_makes_of_all_frames(model: SpeechModel) -> None:
    runner = model.runner
    assert isinstance(runner, DiaSpeech)
    seen: list[Speech] = []

    def drop(speech: Speech) -> None:
        seen.append(speech)
        FrameLoop.drop(runner._loop, speech)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner._loop, "drop", drop)
        sound = model.speak(TEXT, **GIVEN)
    codes = torch.from_numpy(seen[0].codes(0, seen[0].ready()))
    with torch.inference_mode():
        expected = runner._codec.model.sound(codes)
    torch.testing.assert_close(torch.from_numpy(sound.samples), expected, rtol=0, atol=1e-5)


def test_seeds(model: SpeechModel) -> None:
    short = {**GIVEN, "max_seconds": 0.2}
    one, two = (model.speak(TEXT, **short).samples for _ in range(2))
    assert np.array_equal(one, two)
    other = model.speak(TEXT, **{**short, "seed": 4}).samples
    assert not np.array_equal(one, other)
    free = [model.speak(TEXT, max_seconds=0.1).seed for _ in range(2)]
    assert free[0] != free[1]


def test_sounds_are_the_same_in_company(folder: Path) -> None:
    with SpeechModel(folder, device="cpu", running=3) as model:
        short = {**GIVEN, "max_seconds": 0.3}
        texts = [TEXT, "[S2] And I?", "[S1] " + "more " * 20]
        alone = [model.speak(text, **short).samples for text in texts]
        found: dict[str, Any] = {}

        def speak(text: str) -> None:
            found[text] = model.speak(text, **short).samples

        threads = [threading.Thread(target=speak, args=(text,)) for text in texts]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    for text, samples in zip(texts, alone, strict=True):
        assert np.array_equal(found[text], samples)


def test_more_speeches_than_there_is_room_for_wait(folder: Path) -> None:
    with SpeechModel(folder, device="reference", running=8) as model:
        text = "[S1] " + "a" * (model.runner._cfg.encoder_config.max_position_embeddings - 6)
        streams = [model.stream(text, seed=1, max_seconds=0.1) for _ in range(7)]
        found: list[Any] = []

        def listen(stream: Any) -> None:
            found.append(np.concatenate([part.samples for part in stream]))

        threads = [threading.Thread(target=listen, args=(each,)) for each in streams]
        for each in threads:
            each.start()
        for each in threads:
            each.join(60)
        assert len(found) == 7
        assert all(np.array_equal(each, found[0]) for each in found)
        runner: Any = model.runner
        assert (runner._taken, runner._running) == (0, [])
        assert runner._loop.cache.free == runner._loop.cache.blocks


def test_what_nobody_listens_to_is_dropped(model: SpeechModel) -> None:
    parts = model.stream(TEXT, seed=1)
    next(parts)
    parts.close()  # type: ignore[attr-defined]
    assert model.queue.drain(20)
    runner: Any = model.runner
    assert not runner._running
    assert runner._loop.cache.free == runner._loop.cache.blocks


def test_voices(model: SpeechModel, folder: Path) -> None:
    assert model.runner.voices == ["default", "ada", "bo"]
    short: dict[str, Any] = {**GIVEN, "max_seconds": 0.2}
    plain = model.speak("[S1] Hello.", **short).samples
    ada = [model.speak("[S1] Hello.", voice="ada", **short).samples for _ in range(2)]
    assert np.array_equal(ada[0], ada[1])
    assert not np.array_equal(ada[0], plain)
    path = folder / "voices" / "ada.wav"
    for sample in (path, path.read_bytes(), soundfile.read(path, dtype="float32")):
        given: dict[str, Any] = {"sample": sample, "sample_text": "[S1] I am Ada."}
        found = model.speak("[S1] Hello.", **(given | short)).samples
        assert np.array_equal(found, ada[0])
    bo = model.speak("[S1] Hello.", voice="bo", **short).samples
    tagged: dict[str, Any] = {
        "sample": folder / "voices" / "bo.flac",
        "sample_text": "[S1] I am Bo.",
    }
    assert np.array_equal(bo, model.speak("[S1] Hello.", **(tagged | short)).samples)
    assert np.array_equal(plain, model.speak("Hello.", voice="default", **short).samples)


@pytest.mark.parametrize(
    ("text", "given", "said"),
    [
        (" \n", {}, "the text is empty"),
        ("[S1]" + "ü" * 600, {}, r"1201 bytes, 177 more than the 1024"),
        ("a", {"voice": "alloy"}, "no voice 'alloy'; voices: default, ada, bo"),
        ("a", {"speed": 2.0}, "speed 2: this model speaks at its own pace"),
        ("a", {"speed": 9.0}, "speed should be a number from 0.25 to 4"),
        ("a", {"sample": b"x"}, "sample_text, its words, go together"),
        ("a", {"sample_text": "x"}, "sample_text, its words, go together"),
        ("a", {"sample": b"no sound", "sample_text": "x"}, "no sound of a known format"),
        ("a", {"sample": (np.zeros(999), 8000), "sample_text": "x"}, "silent"),
        ("a", {"sample": (np.ones(400_000), 8000), "sample_text": "x"}, "50.0 seconds long, more"),
        ("a", {"sample": (np.ones(99), 8000), "sample_text": "x" * 1100}, "words of its voice"),
        ("a", {"sample": Path("/none.wav"), "sample_text": "x"}, r"/none\.wav"),
        ("a", {"voice": "ada", "sample": b"x", "sample_text": "x"}, "keep one"),
        ("a", {"seed": -1}, "seed should be a whole number"),
        ("a", {"max_seconds": 0}, "max_seconds should be"),
        ("a", {"extra": {"beam": 1}}, "no option 'beam'; this model has guidance, temperature"),
        ("a", {"extra": {"top_k": -1}}, "top_k should be a whole number"),
        ("a", {"extra": {"guidance": float("nan")}}, "guidance should be a number from 0 to 100"),
    ],
)
def test_what_is_refused(model: SpeechModel, text: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        model.speak(text, **given)


def test_voices_that_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no folder"):
        voices_of(tmp_path, str(tmp_path / "none"))
    words(tmp_path / "cy.wav", "x")
    assert list(voices_of(tmp_path / "elsewhere", str(tmp_path))) == ["cy"]
    (tmp_path / "cy.txt").write_text(" ")
    with pytest.raises(ConfigError, match=r"cy\.txt is empty"):
        voices_of(tmp_path / "elsewhere", str(tmp_path))
    (tmp_path / "cy.txt").unlink()
    with pytest.raises(ConfigError, match=r"as UTF-8 in cy\.txt"):
        voices_of(tmp_path / "elsewhere", str(tmp_path))


def test_models_that_are_refused(folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    given: Any = {"device": "reference", "cache_dir": tmp_path / "hub"}
    (tmp_path / "audio_tokenizer_config.json").write_text(
        '{"audio_tokenizer_name_or_path": "not a name"}'
    )
    with pytest.raises(ModelNotFound, match="has no codec: put the folder of"):
        SpeechModel(tmp_path, **given)
    text = (tmp_path / "config.json").read_text()
    for old, new, said in (
        ('"cross_hidden_size": 32', '"cross_hidden_size": 16', "is not the encoder's hidden_size"),
        ('"num_channels": 9', '"num_channels": 8', "delay_pattern has 9 entries for 8"),
        ('"eos_token_id": 1024', '"eos_token_id": 1027', "eos first"),
        ('"hidden_act": "silu"', '"hidden_act": "gelu"', "hidden_act"),
    ):
        assert old in text
        (tmp_path / "config.json").write_text(text.replace(old, new))
        with pytest.raises(CheckpointError, match=said):
            SpeechModel(tmp_path, **given)


def test_asyncio(model: SpeechModel) -> None:
    face = AsyncSpeechModel.over(model.inner)
    short = {**GIVEN, "max_seconds": 0.2}

    async def both() -> tuple[Any, Any]:
        whole = await face.speak(TEXT, **short)
        parts = [each.samples async for each in face.stream(TEXT, **short)]
        return whole.samples, np.concatenate(parts)

    assert np.array_equal(*asyncio.run(both()))
