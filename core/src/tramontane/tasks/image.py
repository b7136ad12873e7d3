"""The task "image": images of descriptions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tramontane.option_checks import Check, a_number, check_options, whole

from .face import Awaiting, Waiting
from .queue import Progress, Work
from .waiting import run, run_async

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


CHECKS = {
    "width": whole(16, 4096, none=True),
    "height": whole(16, 4096, none=True),
    "steps": whole(1, 1000, none=True),
    "guidance": a_number(0, 100, none=True),
    "seed": whole(0, 2**63 - 1, none=True),
    "n": whole(1, 16),
    "image": Check("a path, bytes of a file, a data: URL or a picture", lambda v: True, True),
    "strength": a_number(0, 1),
    "preview": whole(0, 1000),
    "shift": a_number(0.01, 100, none=True),
    "max_sequence_length": whole(1, 4096, none=True),
}


@dataclass(frozen=True, kw_only=True)
class ImageOptions:
    """How images are made. Raises RequestError for values that cannot be."""

    width: int | None = None
    height: int | None = None
    """In pixels; None: the model's own."""
    steps: int | None = None
    """Of denoising; None: the model's own number."""
    guidance: float | None = None
    """How closely it follows the prompt; None: the model's own."""
    seed: int | None = None
    """Of the noise; image i of several has seed + i. None: a new one for each request."""
    n: int = 1
    """Images of one prompt."""
    image: Any = None
    """An image to begin with, as of `tramontane.media.image`; None: noise."""
    strength: float = 0.8
    """How much of `image` becomes noise first, 0 to 1."""
    preview: int = 0
    """Every so many steps a `Progress` has a small picture in `shown`; 0: never."""
    shift: float | None = None
    """How much more of the steps is spent where there is much noise; None: as the model says, some
    by the size. 1: evenly."""
    max_sequence_length: int | None = None
    """Tokens of a prompt that are read; None: the model's own number. Of models that look at
    padding too, it changes images."""

    def __post_init__(self) -> None:
        check_options(vars(self), CHECKS)


@dataclass(frozen=True, eq=False)
class Images:
    """images: (height, width, 3) uint8 each. seeds: of each, to have it once more. settings: what
    was used where the options said nothing, for people."""

    images: tuple[npt.NDArray[np.uint8], ...]
    seeds: tuple[int, ...]
    settings: Mapping[str, Any]


class MakesImages(Protocol):
    """What does the task: an object that an architecture's `tasks["image"]` returns."""

    @property
    def edits(self) -> bool:
        """Whether it takes `ImageOptions.image`."""

    @property
    def default_size(self) -> tuple[int, int]:
        """Width and height where the options say nothing."""

    def images(self, prompt: str, options: ImageOptions) -> Work:
        """A piece of work that yields `Progress` in steps, of all images, and returns `Images`. Bad
        input is refused at this call already: raises RequestError. An image's bits depend on the
        prompt, its seed and the other options alone."""


class ImageModel(Waiting):
    """A model that makes images. A context manager, thread-safe."""

    task = "image"
    runner: MakesImages

    def images(
        self, prompt: str, *, progress: Callable[[Progress], None] | None = None, **options: Any
    ) -> Images:
        """Images of a description. options: see `ImageOptions`. Raises RequestError, EngineBusy."""
        found: Images = run(
            self.queue, self.runner.images(prompt, ImageOptions(**options)), progress
        )
        return found


class AsyncImageModel(Awaiting):
    """The same for asyncio."""

    task = "image"
    runner: MakesImages

    async def images(
        self, prompt: str, *, progress: Callable[[Progress], None] | None = None, **options: Any
    ) -> Images:
        """As `ImageModel.images`."""
        import asyncio

        made = ImageOptions(**options)
        work = await asyncio.to_thread(self.runner.images, prompt, made)
        found: Images = await run_async(self.queue, work, progress)
        return found
