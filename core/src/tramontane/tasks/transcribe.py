"""The task "transcribe": speech written down."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass
from typing import Any, Protocol

from tramontane.option_checks import (
    FLAG,
    Check,
    a_number,
    a_text,
    above_zero,
    check_options,
    one_of,
    whole,
)

from .face import Awaiting, Waiting
from .queue import Ended, Progress, Work
from .waiting import result, run, run_async, stream, stream_async

MOST_FALLBACKS = 16


def _temperatures(value: Any) -> bool:
    fits = a_number(0, 2).fits
    return isinstance(value, Sequence) and len(value) <= MOST_FALLBACKS and all(map(fits, value))


CHECKS = {
    "language": a_text("a language's code, such as 'de', or its English name", none=True),
    "into": one_of("same", "english"),
    "prompt": a_text("a text that comes before", none=True),
    "temperature": a_number(0, 2),
    "timestamps": one_of("none", "segment", "word"),
    "max_tokens": whole(none=True),
    "condition_on_previous": FLAG,
    "fallback": Check(f"a list of up to {MOST_FALLBACKS} numbers from 0 to 2", _temperatures),
    "compression_ratio_threshold": above_zero(none=True),
    "logprob_threshold": a_number(-1e9, 0, none=True),
    "no_speech_threshold": a_number(0, 1, none=True),
    "seed": whole(0, 2**63 - 1),
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
    """0: the likeliest token; higher ones draw."""
    timestamps: str = "segment"
    """Which parts of the transcript have times; "none": there are but the windows'."""
    max_tokens: int | None = None
    """Of a window, or of all where a model hears no windows; None: as many as fit."""
    condition_on_previous: bool = False
    """Whether a window is given the text so far: more consistent, and an error may go on."""
    fallback: Sequence[float] = (0.2, 0.4, 0.6, 0.8, 1.0)
    """Temperatures to try after `temperature`, those above it, where a window's text seems wrong:
    it repeats itself, or is unlikely."""
    compression_ratio_threshold: float | None = 1.35
    """Of a window's token ids to what zlib makes of them, above which a text repeats itself."""
    logprob_threshold: float | None = -1.0
    """Mean log-probability of a window's tokens below which its text is unlikely."""
    no_speech_threshold: float | None = 0.6
    """Probability of silence above which an unlikely text is left out."""
    seed: int = 0
    """Of what is drawn."""

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
    """A part of a transcript. start, end: seconds. window: seconds at which the part of the sound
    begins that was heard with it. What says how good it seems is of all of that part."""

    text: str
    start: float
    end: float
    window: float = 0.0
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
