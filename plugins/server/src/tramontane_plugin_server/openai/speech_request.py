"""The body of POST /v1/audio/speech."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field
from tramontane.tasks.speech import SpeechOptions

from .fields import RequestBody, refuse

MOST_INPUT = 1 << 16
"""Characters; a model's own limit is lower."""
SAYING = ("wav", "flac")
"""Formats that say in front how long a sound is."""
Voice = Annotated[str, Field(min_length=1, max_length=256)]


def _named(value: Any) -> Any:
    """OpenAI's own voices have an id instead."""
    if isinstance(value, Mapping):
        refuse("", "should be the name of a voice; voices by id are not supported here")
    return value


class SpeechRequest(RequestBody):
    """A text to speak."""

    refused: ClassVar[Mapping[str, str]] = {
        "instructions": "the model takes no instructions; say it in the text, or by another voice",
    }
    neutral: ClassVar[Mapping[str, Any]] = {"instructions": ("",)}

    input: str = Field(min_length=1, max_length=MOST_INPUT, description="the text")
    model: str | None = Field(
        None, max_length=512, description="absent or `default`: the first model of the server"
    )
    voice: Annotated[Voice | None, BeforeValidator(_named, json_schema_input_type=Voice)] = Field(
        None,
        description="a voice that the server's owner set up; absent or `default`: the model's own",
    )
    response_format: Literal["mp3", "opus", "flac", "wav", "pcm"] = Field(
        "mp3", description="pcm: samples of 16 bits, the low byte first, 24000 a second"
    )
    speed: float | None = Field(None, ge=0.25, le=4, description="1 where the model has no other")
    stream: bool | None = Field(
        None,
        description="send `wav` and `flac` as they are made too: they do not say then how long "
        "they are",
    )
    stream_format: Literal["audio", "sse"] | None = Field(
        None, description="sse: server-sent events with parts of the file in base64"
    )
    seed: int | None = Field(None, description="equal seeds (modulo 2**63) give equal samples")
    max_seconds: float | None = Field(None, ge=0.1, le=3600, description="the longest sound")
    guidance: float | None = Field(
        None, ge=0, le=100, description="how far the text counts more; 1: no more than by itself"
    )
    temperature: float | None = Field(None, ge=0, le=10, description="0: the likeliest")
    top_p: float | None = Field(None, ge=0.001, le=1)
    top_k: int | None = Field(None, ge=0, le=1 << 16, description="0: all")

    def options(self) -> SpeechOptions:
        """How it is spoken. Raises RequestError."""
        own = {"guidance": self.guidance, "temperature": self.temperature, "top_p": self.top_p,
               "top_k": self.top_k}  # fmt: skip
        return SpeechOptions(
            voice=self.voice,
            speed=1.0 if self.speed is None else self.speed,
            seed=None if self.seed is None else self.seed % 2**63,
            max_seconds=self.max_seconds,
            extra={name: value for name, value in own.items() if value is not None},
        )

    @property
    def as_made(self) -> bool:
        """Whether parts are sent as they are made: some files say in front how long they are."""
        return self.response_format not in SAYING or bool(self.stream or self.stream_format)
