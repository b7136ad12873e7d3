"""What transcribes with Whisper."""

from collections.abc import Sequence
from typing import Any

from tramontane.engine.engine import Engine
from tramontane.errors import RequestError
from tramontane.media.sound import samples_of
from tramontane.model.loaded_model import LoadedModel
from tramontane.tasks.queue import Work
from tramontane.tasks.transcribe import TranscribeOptions

from .special import SpecialTokens
from .windows import Windows


class WhisperTranscriber:
    """Implements `tramontane.tasks.transcribe.Transcribes`."""

    def __init__(self, model: LoadedModel) -> None:
        """Raises ConfigError where the checkpoint does not say what transcription needs."""
        self._engine: Engine = model.engine
        self._sounds: Any = model.processors["audio"]
        told = {**model.header.config, **model.defaults}
        vocabulary = model.loaded.config.vocab_size
        self._special = SpecialTokens.of(told, model.tokenizer, vocabulary)

    @property
    def languages(self) -> Sequence[str]:
        return tuple(self._special.languages) or ("en",)

    @property
    def translates(self) -> bool:
        return "translate" in self._special.tasks

    def transcribe(self, sound: Any, options: TranscribeOptions) -> Work:
        special, tokenizer = self._special, self._engine.tokenizer
        if tokenizer.missing:
            raise RequestError(tokenizer.missing)
        if options.timestamps == "word":
            raise RequestError(
                "timestamps='word': times of words are not found; those of segments are: 'segment'"
            )
        language = None if options.language is None else special.language(options.language)
        task = special.task(translate=options.into == "english")
        prompt: list[int] = []
        if options.prompt is not None and options.prompt.strip():
            text = f" {options.prompt.strip()}"
            prompt = tokenizer.encode(text, add_special=False, parse_special=False)
        samples = samples_of(sound, "the sound", self._sounds.rate)
        opening: list[int | None] = []
        if special.languages:
            opening.append(None if language is None else special.languages[language])
        if task is not None:
            opening.append(task)
        if options.timestamps == "none":
            opening.append(special.no_timestamps)
        return Windows(
            self._engine, special, self._sounds, samples, opening, prompt, options
        ).work()
