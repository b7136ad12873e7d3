"""The task "transcribe": speech written down."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass
from typing import Any, Protocol

from tramontane.option_checks import a_number, a_text, check_options, one_of

from .face import Awaiting, Waiting
from .queue import Ended, Progress, Work
from .waiting import result, run, run_async, stream, stream_async

CHECKS = {
    "language": a_text("a language's code, such as 'de', or its English name", none=True),
    "into": one_of("same", "english"),
    "prompt": a_text("a text that comes before", none=True),
    "temperature": a_number(0, 2),
    "timestamps": one_of("none", "segment", "word"),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TranscribeOptions:
    """How speech is written down. Raises RequestError for values that cannot be."""

    language: str | None = None
    """A code ("de"), or an English name; None: the model finds out."""
    into: str = "same"
    """"english" translates."""
    prompt: str | None = None
    """A text that the model takes for what came before: names, a style."""
    temperature: float = 0.0
    timestamps: str = "segment"

    def __post_init__(self) -> None:
        check_options(vars(self), CHECKS)


@dataclass(frozen=True)
class Word:
    """start, end: seconds."""

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Segment:
    """A part of a transcript. start, end: seconds."""

    text: str
    start: float
    end: float
    tokens: tuple[int, ...] = ()
    words: tuple[Word, ...] = ()
    avg_logprob: float | None = None
    no_speech_prob: float | None = None
    compression_ratio: float | None = None
    temperature: float = 0.0


@dataclass(frozen=True)
class Transcript:
    """language: its code, where it is known. duration: seconds of the sound."""

    text: str
    language: str | None
    duration: float
    segments: tuple[Segment, ...] = ()


class Transcribes(Protocol):
    """What does the task: an object that an architecture's `tasks["transcribe"]` returns."""

    @property
    def languages(self) -> Sequence[str]:
        """The codes of the languages that it knows; empty where it does not say."""

    @property
    def translates(self) -> bool:
        """Whether it knows `into="english"`."""

    def transcribe(self, sound: Any, options: TranscribeOptions) -> Work:
        """A piece of work that yields `Segment` (or a `str`, a part of the text, of models without
        segments) as they are written, and `Progress` in seconds, and returns a `Transcript`.

        sound: as of `tramontane.media.sound.samples_of`. Bad input is refused at this call already:
        raises RequestError.
        """


class Transcriber(Waiting):
    """A model that writes down speech. A context manager, thread-safe."""

    task = "transcribe"
    runner: Transcribes

    def transcribe(
        self,
        sound: Any,
        *,
        progress: Callable[[Progress], None] | None = None,
        **options: Any,
    ) -> Transcript:
        """Write down a sound: a path, bytes of a file, or (samples, their rate). options: see
        `TranscribeOptions`. Raises RequestError, EngineBusy."""
        work = self.runner.transcribe(sound, TranscribeOptions(**options))
        found: Transcript = run(self.queue, work, progress)
        return found

    def stream(self, sound: Any, **options: Any) -> Iterator[Segment | str | Progress | Transcript]:
        """The same as it is written; last the `Transcript`. Closing the iterator cancels it."""
        work = self.runner.transcribe(sound, TranscribeOptions(**options))
        with closing(stream(self.queue, work)) as events:  # type: ignore[type-var]
            for event in events:
                yield result(event) if isinstance(event, Ended) else event


class AsyncTranscriber(Awaiting):
    """The same for asyncio."""

    task = "transcribe"
    runner: Transcribes

    async def transcribe(
        self,
        sound: Any,
        *,
        progress: Callable[[Progress], None] | None = None,
        **options: Any,
    ) -> Transcript:
        """As `Transcriber.transcribe`."""
        found: Transcript = await run_async(self.queue, await self._work(sound, options), progress)
        return found

    async def stream(
        self, sound: Any, **options: Any
    ) -> AsyncIterator[Segment | str | Progress | Transcript]:
        """As `Transcriber.stream`."""
        events = stream_async(self.queue, await self._work(sound, options))
        async with aclosing(events):  # type: ignore[type-var]
            async for event in events:
                yield result(event) if isinstance(event, Ended) else event

    async def _work(self, sound: Any, options: dict[str, Any]) -> Work:
        import asyncio

        made = TranscribeOptions(**options)
        return await asyncio.to_thread(self.runner.transcribe, sound, made)
