"""The task "image" with FLUX.1: from a prompt and options to pictures."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor
from tramontane import memory
from tramontane.backend import HOST
from tramontane.config import read_config
from tramontane.errors import CheckpointError, RequestError
from tramontane.media.image import pixels_of
from tramontane.tasks.image import ImageOptions, Images
from tramontane.tasks.loaded_task import LoadedTask
from tramontane.tasks.queue import Progress, Work
from tramontane.tokenizer.files import from_folder
from tramontane.tokenizer.tokenizer import Tokenizer

from .config import DEV_SCHEDULE, ScheduleConfig
from .denoise import Asked, denoised, picture_of, pixels_in, preview
from .files import roots, tokenizer_folder
from .latents import GRID
from .prompts import Encoded, Kept, Prompts
from .sizes import SIDE, size_of

DEV, SCHNELL = (28, 3.5, 512), (4, 0.0, 256)
"""Steps, guidance and tokens of a prompt where nothing is said, of models with guidance and
without."""
MOST_TOKENS = 512
MOST_WORK = 1 << 10
"""Millions of pixels times steps that a request may ask for: 9 images of 1024 x 1024 in 100."""


class FluxImages:
    """Implements `tramontane.tasks.image.MakesImages`."""

    edits = True
    default_size = SIDE, SIDE

    def __init__(self, loaded: LoadedTask) -> None:
        """Raises CheckpointError for a checkpoint that lacks a part, NoTokenizer."""
        self._loaded = loaded
        self.transformer = self._part("FluxTransformer2DModel")
        self.vae = self._part("AutoencoderKL")
        self.guided = self.transformer.cfg.guidance_embeds
        told = dict(loaded.part_config("scheduler")) if loaded.path.is_dir() else {}
        default: Mapping[str, Any] = DEV_SCHEDULE if self.guided else {}
        self.schedule: ScheduleConfig = read_config(ScheduleConfig, told or default)
        self.prompts = Prompts(
            self._part("CLIPTextModel"),
            self._part("T5EncoderModel"),
            self._tokenizer("tokenizer"),
            self._tokenizer("tokenizer_2"),
        )
        self._kept = Kept()
        self._refuse_mismatch()

    def images(self, prompt: str, options: ImageOptions) -> Work:
        """See `MakesImages`. Raises RequestError."""
        if not isinstance(prompt, str) or not prompt.strip():
            raise RequestError("the prompt is empty: describe what the image should show")
        picture = None if options.image is None else pixels_of(options.image, "image")
        width, height = size_of(options, picture, self.default_size)
        steps, guidance, tokens = DEV if self.guided else SCHNELL
        steps = steps if options.steps is None else options.steps
        if options.guidance is not None:
            if not self.guided:
                raise RequestError(
                    "guidance: this model has none (FLUX.1 schnell and its like were made to need "
                    "none); leave it out"
                )
            guidance = options.guidance
        tokens = options.max_sequence_length or tokens
        if tokens > MOST_TOKENS:
            raise RequestError(
                f"max_sequence_length {tokens} is more than {MOST_TOKENS}, the most that FLUX.1 "
                "was made for"
            )
        work = options.n * steps * width * height / 1e6
        if work > MOST_WORK:
            raise RequestError(
                f"{options.n} x {steps} steps of {width} x {height} pixels are {work:.0f} million "
                f"pixels, more than the {MOST_WORK} of one request; ask for less of one of them"
            )
        self._refuse_size(width, height)
        seed = secrets.randbits(32) if options.seed is None else options.seed
        asked = Asked(
            width, height, steps, guidance, seed, None if picture is None else options.strength
        )
        schedule = self.schedule
        if options.shift is not None:
            schedule = schedule.model_copy(
                update={"shift": options.shift, "use_dynamic_shifting": False}
            )
        total = len(asked.sigmas(schedule)) - 1
        if total < 1:
            raise RequestError(
                f"strength {options.strength} of {steps} steps leaves none: ask for more of one"
            )
        settings = {
            "width": width, "height": height, "steps": steps, "tokens": tokens,
            **({"guidance": guidance} if self.guided else {}),
            **({} if picture is None else {"strength": options.strength}),
            **self._cut(prompt, tokens),
        }  # fmt: skip
        asks = [
            Asked(width, height, steps, guidance, (seed + index) % 2**63, asked.strength)
            for index in range(options.n)
        ]
        return self._work(prompt, tokens, asks, picture, schedule, options.preview, settings)

    def _work(
        self,
        prompt: str,
        tokens: int,
        asks: list[Asked],
        picture: npt.NDArray[np.uint8] | None,
        schedule: ScheduleConfig,
        every: int,
        settings: Mapping[str, Any],
    ) -> Generator[Any, None, Images]:
        total = len(asks) * (len(asks[0].sigmas(schedule)) - 1)
        yield Progress(0, total, "steps")
        encoded = yield from self._encoded(prompt, tokens)
        moments = None
        if picture is not None:
            pixels = pixels_in(picture, asks[0].width, asks[0].height)
            moments = yield from self.vae.encode(self._there(pixels))
        made = []
        for index, asked in enumerate(asks):
            told = self._telling(index * total // len(asks), total, every, asked)
            latents = yield from denoised(
                self.transformer, self.vae, schedule, encoded, asked, moments, told
            )
            pixels = yield from self.vae.decode(self._there(latents))
            made.append(picture_of(pixels))
        return Images(tuple(made), tuple(each.seed for each in asks), settings)

    def _telling(
        self, before: int, total: int, every: int, asked: Asked
    ) -> Callable[[int, Tensor, Tensor], Generator[Any, None, None]]:
        h, w = (each // self.vae.cfg.scale for each in (asked.height, asked.width))

        def told(done: int, rows: Tensor, clean: Tensor) -> Generator[Any, None, None]:
            shown = None
            if every and done % every == 0:
                small = yield from preview(self.vae, clean, h, w)
                shown = picture_of(small)
            yield Progress(before + done, total, "steps", shown)

        return told

    def _encoded(self, prompt: str, tokens: int) -> Generator[None, None, Encoded]:
        found = self._kept.get(prompt, tokens)
        if found is None:
            found = yield from self.prompts.encode(prompt, tokens)
            self._kept.put(prompt, tokens, found)
        return found

    def _cut(self, prompt: str, tokens: int) -> dict[str, str]:
        """What to say of a prompt that is too long."""
        lost = self.prompts.lost(prompt, tokens)
        return {"prompt": f"its last {lost} tokens were left out"} if lost else {}

    def _refuse_size(self, width: int, height: int) -> None:
        """Raises RequestError for an image larger than what was planned when the model was loaded,
        where the processor's memory has no room for it: nothing else would say so."""
        times = width * height / SIDE**2
        host = all(part.device.memory == HOST for part in self._loaded.parts.values())
        if times <= 1 or not host or self._loaded.options.force:
            return
        need, free = int(self.vae.working_bytes * times), memory.free()
        if need > free:
            raise RequestError(
                f"an image of {width} x {height} needs {memory.readable(need)} of memory, and "
                f"{memory.readable(free)} are free: ask for a smaller one"
            )

    def _part(self, architecture: str) -> Any:
        for part in self._loaded.parts.values():
            if part.architecture.name == architecture:
                return part.model
        raise CheckpointError(f"{self._loaded.path} lacks the part {architecture} of FLUX.1")

    def _tokenizer(self, name: str) -> Tokenizer:
        """Of the folder, or what lies beside the file."""
        if self._loaded.header.architecture == "FluxPipeline":
            return self._loaded.tokenizer(name)
        folder = tokenizer_folder(name, roots(self._loaded.path, self._loaded.options.parts))
        return from_folder(folder or self._loaded.path.parent / name)

    def _there(self, x: Tensor) -> Tensor:
        """On the device of the autoencoder, in its type."""
        return x.to(next(self.vae.parameters()))

    def _refuse_mismatch(self) -> None:
        """Raises CheckpointError for parts that do not belong together."""
        cfg, vae = self.transformer.cfg, self.vae.cfg
        t5, clip = self.prompts.t5.cfg, self.prompts.clip.cfg
        for theirs, ours, what in (
            (cfg.in_channels, 4 * vae.latent_channels, "in_channels and 4 x latent_channels"),
            (cfg.joint_attention_dim, t5.d_model, "joint_attention_dim and d_model of T5"),
            (cfg.pooled_projection_dim, clip.hidden_size, "pooled_projection_dim and hidden_size "
             "of CLIP"),
        ):  # fmt: skip
            if theirs != ours:
                raise CheckpointError(
                    f"{self._loaded.path}: its parts do not belong together: {what} are {theirs} "
                    f"and {ours}"
                )
        if GRID % (2 * vae.scale):
            raise CheckpointError(
                f"{self._loaded.path}: an autoencoder whose latents have {vae.scale} pixels a side "
                f"is not FLUX.1's"
            )
