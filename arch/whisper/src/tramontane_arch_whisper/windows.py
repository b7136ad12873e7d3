"""A sound, window by window: each begins where what was written of the one before ends."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tramontane.engine.engine import Engine
from tramontane.engine.request import Request
from tramontane.media.item import Media, MediaItem, Run
from tramontane.media.processor import Samples
from tramontane.sampling_params import SamplingParams
from tramontane.tasks.answered import answered
from tramontane.tasks.queue import Progress, Work
from tramontane.tasks.transcribe import Segment, TranscribeOptions, Transcript

from .rules import TranscriptStep
from .segments import Clock, Piece, compression_ratio, context_of, pieces_of
from .sounds import WhisperSounds
from .special import SpecialTokens

COLD = 0.5
"""What is drawn at this temperature or a higher one is no text to go on from."""


class Attempt(NamedTuple):
    """What was written of a window, with its end token, and how good it seems."""

    written: tuple[int, ...]
    temperature: float
    logprob: float
    no_speech: float
    ratio: float


@dataclass
class Windows:
    """The transcription of one sound. opening: see `TranscriptStep`. prompt: tokens of a text that
    came before."""

    engine: Engine
    special: SpecialTokens
    sounds: WhisperSounds
    samples: Samples
    opening: Sequence[int | None]
    prompt: Sequence[int]
    options: TranscribeOptions
    _pieces: list[Sequence[int]] = field(default_factory=list)
    _goes_on: bool = False
    _asked: int = 0
    frames: int = 0
    """Of the spectrogram, those that are the sound's; behind them is silence to fill a window."""

    def __post_init__(self) -> None:
        self.frames = max(1, len(self.samples) // self.sounds.features.hop)
        rate, hop = self.sounds.rate, self.sounds.features.hop
        stride = self.sounds.frames // self.sounds.rows
        self._clock = Clock(self.special.first_timestamp, stride * hop / rate, hop / rate, stride)
        self._stamps = self.options.timestamps != "none"
        self._most = self.engine.context_length // 2 - 1
        self._goes_on = self.options.condition_on_previous
        most = self.options.max_tokens
        self._limit = None if most is None else most + len(self.opening)
        if self.prompt:
            self._pieces.append(self.prompt)

    def work(self) -> Work:
        """Yields segments as they are written, and `Progress` in seconds; returns a `Transcript`.
        Its words are those of the segments."""
        segments: list[Segment] = []
        features = self.sounds.spectrogram(self.samples)
        place, clock, total = 0, self._clock, features.shape[1]
        while place < self.frames:
            yield self._progress(place)
            size = min(total - place, self.sounds.frames)
            item = self.sounds.window(features[:, place : place + size])
            attempt = yield from self._best(item)
            if self._silent(attempt):
                place += size
                continue
            tokens = attempt.written
            if tokens and tokens[-1] == self.special.end:
                tokens = tokens[:-1]
            offset = place * clock.step / clock.stride
            heard = min(self.frames - place, size)
            pieces, further = pieces_of(tokens, clock, offset, heard)
            for piece in pieces:
                self._pieces.append(piece.tokens)
                segments.append(self._segment(piece, attempt, offset))
                if segments[-1].text.strip():
                    yield segments[-1]
            place += further or size
        yield self._progress(self.frames)
        return self._transcript(segments)

    def _best(self, item: MediaItem) -> Generator[Any, None, Attempt]:
        """What is written of a window at the first temperature at which it seems right."""
        options = self.options
        ladder = [each for each in options.fallback if each > options.temperature]
        prompt = (*self._before(), self.special.start)
        if self.opening and self.opening[0] is None and len(prompt) > 1:
            yield from self._language(item)
        for temperature in (options.temperature, *ladder):
            attempt = yield from self._attempt(item, prompt, temperature)
            self._goes_on = options.condition_on_previous and temperature < COLD
            if self._silent(attempt) or not self._wrong(attempt):
                break
        return attempt

    def _attempt(
        self, item: MediaItem, prompt: tuple[int, ...], temperature: float
    ) -> Generator[Any, None, Attempt]:
        step = TranscriptStep(self.special, self.opening, stamps=self._stamps)
        params = SamplingParams(
            temperature=float(temperature), seed=(self.options.seed + self._asked) % 2**63,
            ignore_eos=True, stop_token_ids=(self.special.end,), max_tokens=self._limit,
        )  # fmt: skip
        self._asked += 1
        tokens = yield from self._answer(item, prompt, params, step)
        self.opening = step.opening
        written = tokens[len(step.opening) :]
        ratio = compression_ratio(written, self.engine.loaded.config.vocab_size)
        return Attempt(written, temperature, step.mean_logprob(written), step.no_speech, ratio)

    def _language(self, item: MediaItem) -> Generator[Any, None, None]:
        """Find it out where a text comes before, which must not count."""
        step = TranscriptStep(self.special, [None], stamps=False)
        params = SamplingParams(temperature=0.0, max_tokens=1, ignore_eos=True)
        yield from self._answer(item, (self.special.start,), params, step)
        self.opening = [step.opening[0], *self.opening[1:]]

    def _answer(
        self,
        item: MediaItem,
        prompt: tuple[int, ...],
        params: SamplingParams,
        step: TranscriptStep,
    ) -> Generator[Any, None, tuple[int, ...]]:
        media = Media((Run(0, 1, item),))
        request = Request(prompt=prompt, params=params, media=media, steps=(step,))
        result = yield from _silently(answered(self.engine, request))
        return tuple(result.token_ids)

    def _before(self) -> list[int]:
        """What stands in front of the start: the text so far, or the prompt."""
        if self.special.previous is None:
            return []
        if self._goes_on and self._pieces:
            found = context_of(self._pieces, self._clock.first, self._most)
        else:
            found = list(self.prompt[-self._most :])
        return [self.special.previous, *found] if found else []

    def _unlikely(self, attempt: Attempt) -> bool:
        least = self.options.logprob_threshold
        return least is not None and attempt.logprob < least

    def _wrong(self, attempt: Attempt) -> bool:
        most = self.options.compression_ratio_threshold
        return self._unlikely(attempt) or (most is not None and attempt.ratio > most)

    def _silent(self, attempt: Attempt) -> bool:
        most = self.options.no_speech_threshold
        return most is not None and attempt.no_speech > most and self._unlikely(attempt)

    def _segment(self, piece: Piece, attempt: Attempt, window: float) -> Segment:
        return Segment(
            text=self._text(piece.tokens),
            start=piece.start,
            end=piece.end,
            window=window,
            tokens=piece.tokens,
            avg_logprob=attempt.logprob,
            no_speech_prob=attempt.no_speech,
            compression_ratio=attempt.ratio,
            temperature=attempt.temperature,
        )

    def _text(self, tokens: Sequence[int]) -> str:
        words = [token for token in tokens if token < self.special.first_timestamp]
        return self.engine.tokenizer.decode(words)

    def _transcript(self, segments: Sequence[Segment]) -> Transcript:
        every = [token for segment in segments for token in segment.tokens]
        names = {token: code for code, token in self.special.languages.items()}
        language = names.get(self.opening[0] or 0) if self.opening else "en"
        if not names:
            language = "en"
        return Transcript(
            text=self._text(every).strip(),
            language=language,
            duration=self.frames * self._clock.frame,
            segments=tuple(each for each in segments if each.text.strip()),
        )

    def _progress(self, place: int) -> Progress:
        scale = self._clock.frame
        return Progress(
            round(min(place, self.frames) * scale), round(self.frames * scale), "seconds"
        )


def _silently(parts: Generator[Any, None, Any]) -> Generator[None, None, Any]:
    """The same, with nothing to show: what is written may yet be written again."""
    try:
        while True:
            next(parts)
            yield None
    except StopIteration as end:
        return end.value
    finally:
        parts.close()
