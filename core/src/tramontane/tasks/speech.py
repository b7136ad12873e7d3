"""The task "speech": texts spoken."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from tramontane.option_checks import Check, a_number, a_text, by_name, check_options, whole

from .face import Awaiting, Waiting
from .queue import Ended, Progress, Work
from .waiting import result, run, run_async, stream, stream_async

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

CHECKS = {
    "voice": a_text("the name of a voice", none=True),
    "speed": a_number(0.25, 4),
    "sample": Check("a path, bytes of a file, or (samples, rate)", lambda v: True, True),
    "sample_text": a_text("what `sample` says", none=True),
    "seed": whole(0, 2**63 - 1, none=True),
    "max_seconds": a_number(0.1, 3600, none=True),
    "extra": by_name("options of the model by their names"),
}


@dataclass(frozen=True, kw_only=True)
class SpeechOptions:
    """How a text is spoken. Raises RequestError for values that cannot be."""

    voice: str | None = None
    """One of the model's voices; None: its own."""
    speed: float = 1.0
    """1: as the model speaks; models that have no other refuse it."""
    sample: Any = None
    """A sound whose voice is taken up, as of `tramontane.media.sound.samples_of`."""
    sample_text: str | None = None
    """What `sample` says."""
    seed: int | None = None
    """None: a new one for each request."""
    max_seconds: float | None = None
    """The longest sound; None: the model's own limit."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Options of the model's own, such as guidance and temperature."""

    def __post_init__(self) -> None:
        check_options(vars(self), CHECKS)


@dataclass(frozen=True, eq=False)
class Sound:
    """samples: (samples) float32 within -1 and 1. rate: samples a second. seed: to have it once
    more. Also a part of a sound, while it is made."""

    samples: npt.NDArray[np.float32]
    rate: int
    seed: int = 0

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate


class Speaks(Protocol):
    """What does the task: an object that an architecture's `tasks["speech"]` returns."""

    @property
    def rate(self) -> int:
        """Samples a second."""

    @property
    def voices(self) -> Sequence[str]:
        """The names of its voices; empty: it has none to choose from."""

    def speak(self, text: str, options: SpeechOptions) -> Work:
        """A piece of work that yields `Sound`, parts as they are made, and `Progress`, and returns
        the whole `Sound`. Bad input is refused at this call already: raises RequestError. Samples
        depend on the text, the seed and the other options alone."""


class SpeechModel(Waiting):
    """A model that speaks. A context manager, thread-safe."""

    task = "speech"
    runner: Speaks

    def speak(
        self, text: str, *, progress: Callable[[Progress], None] | None = None, **options: Any
    ) -> Sound:
        """Speak a text. options: see `SpeechOptions`. Raises RequestError, EngineBusy."""
        found: Sound = run(self.queue, self.runner.speak(text, SpeechOptions(**options)), progress)
        return found

    def stream(self, text: str, **options: Any) -> Iterator[Sound]:
        """Its parts as they are made. Closing the iterator cancels it."""
        work = self.runner.speak(text, SpeechOptions(**options))
        with closing(stream(self.queue, work)) as events:  # type: ignore[type-var]
            for event in events:
                if isinstance(event, Ended):
                    result(event)
                elif isinstance(event, Sound):
                    yield event


class AsyncSpeechModel(Awaiting):
    """The same for asyncio."""

    task = "speech"
    runner: Speaks

    async def speak(
        self, text: str, *, progress: Callable[[Progress], None] | None = None, **options: Any
    ) -> Sound:
        """As `SpeechModel.speak`."""
        found: Sound = await run_async(self.queue, await self._work(text, options), progress)
        return found

    async def stream(self, text: str, **options: Any) -> AsyncIterator[Sound]:
        """As `SpeechModel.stream`."""
        events = stream_async(self.queue, await self._work(text, options))
        async with aclosing(events):  # type: ignore[type-var]
            async for event in events:
                if isinstance(event, Ended):
                    result(event)
                elif isinstance(event, Sound):
                    yield event

    async def _work(self, text: str, options: dict[str, Any]) -> Work:
        import asyncio

        made = SpeechOptions(**options)
        return await asyncio.to_thread(self.runner.speak, text, made)
