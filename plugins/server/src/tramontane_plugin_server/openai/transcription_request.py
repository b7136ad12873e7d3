"""The forms of POST /v1/audio/transcriptions and /v1/audio/translations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator
from tramontane.tasks.transcribe import TranscribeOptions

from .fields import RequestBody, refuse

Format = Literal["json", "text", "srt", "verbose_json", "vtt"]
FILE = {"type": "string", "format": "binary", "description": "a sound: WAV, FLAC, OGG, MP3, AIFF"}


class TranslationRequest(RequestBody):
    """A sound to write down in English. Its `file` is read apart from this."""

    model_config = ConfigDict(strict=False)

    model: str | None = Field(
        None, max_length=512, description="absent or `default`: the first model of the server"
    )
    prompt: str | None = Field(
        None, max_length=1 << 16, description="a text that the model takes for what came before"
    )
    response_format: Format = "json"
    temperature: float | None = Field(
        None, ge=0, le=1, description="0: higher ones are tried where a text seems wrong"
    )
    seed: int | None = Field(None, ge=0, le=2**53, description="of what is drawn")
    condition_on_previous: bool | None = Field(
        None, description="show each window of a long sound the text so far"
    )

    @property
    def into(self) -> str:
        return "english"

    def options(self) -> TranscribeOptions:
        """Raises RequestError."""
        return TranscribeOptions(
            language=None,
            into=self.into,
            prompt=self.prompt or None,
            temperature=self.temperature or 0.0,
            seed=self.seed or 0,
            condition_on_previous=bool(self.condition_on_previous),
        )


class TranscriptionRequest(TranslationRequest):
    """A sound to write down. Its `file` is read apart from this."""

    refused: ClassVar[Mapping[str, str]] = {
        "include": "log-probabilities of tokens are not given; verbose_json has each segment's",
        "chunking_strategy": "windows follow one another; leave it out, or give `auto`",
        "known_speaker_names": "speakers are not distinguished",
        "known_speaker_references": "speakers are not distinguished",
    }
    neutral: ClassVar[Mapping[str, Any]] = {"chunking_strategy": ("auto", ""), "include": ([],)}

    language: str | None = Field(
        None, max_length=64, description="a code, `de`, or an English name; absent: found out"
    )
    stream: bool | None = Field(
        None, description="events with each segment's text as it is written"
    )
    timestamp_granularities: list[Literal["segment", "word"]] | None = Field(
        None, max_length=8, description="of verbose_json; `word` is refused by models without them"
    )

    @property
    def into(self) -> str:
        return "same"

    @model_validator(mode="after")
    def _times_need_a_place(self) -> TranscriptionRequest:
        if self.timestamp_granularities and self.response_format != "verbose_json":
            refuse("timestamp_granularities", "timestamp_granularities is for verbose_json")
        if self.stream and self.response_format not in ("json", "text"):
            refuse("stream", f"stream=true is for json and text, not {self.response_format}")
        return self

    def options(self) -> TranscribeOptions:
        from dataclasses import replace

        words = "word" in (self.timestamp_granularities or ())
        return replace(
            super().options(),
            language=self.language or None,
            timestamps="word" if words else "segment",
        )
