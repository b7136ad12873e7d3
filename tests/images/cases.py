"""What is asked of tiny FLUX.1 models, to be compared with what diffusers makes of the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

PROMPT = "A red fox, in the snow's light; Ünï"
LONG = " ".join(["many words of winter"] * 30)


@dataclass(frozen=True)
class Case:
    """guided: a model as dev, or as schnell. schedule: what its scheduler's file says otherwise.
    options: of `ImageOptions`."""

    guided: bool
    options: dict[str, Any]
    prompt: str = PROMPT
    schedule: dict[str, Any] = field(default_factory=dict)


def _case(guided: bool, width: int, height: int, steps: int, **more: Any) -> Case:
    prompt, schedule = more.pop("prompt", PROMPT), more.pop("schedule", {})
    options = {"width": width, "height": height, "steps": steps, "seed": 7, **more}
    if guided:
        options.setdefault("guidance", 3.5)
    options.setdefault("max_sequence_length", 40)
    return Case(guided, options, prompt, schedule)


CASES = {
    "dev": _case(True, 96, 64, 4),
    "dev with 512 tokens": _case(True, 48, 32, 2, max_sequence_length=512),
    "little guidance": _case(True, 32, 32, 2, guidance=1.0),
    "much guidance": _case(True, 32, 32, 2, guidance=30.0),
    "one row": _case(True, 160, 16, 3),
    "one step": _case(True, 32, 48, 1),
    "shifts": _case(True, 64, 64, 3, schedule={"base_shift": 0.9, "max_shift": 2.0,
                                               "max_image_seq_len": 1024}),
    "a linear shift": _case(True, 64, 64, 3, schedule={"time_shift_type": "linear"}),
    "a shift that is asked for": _case(True, 64, 64, 3, shift=2.5),
    "schnell": _case(False, 96, 64, 4),
    "schnell with 256 tokens": _case(False, 32, 32, 2, max_sequence_length=256),
    "schnell with a shift": _case(False, 64, 64, 3, schedule={"shift": 3.0}),
    "a long prompt": _case(False, 32, 32, 2, prompt=LONG),
    "a batch": _case(True, 32, 32, 2, n=3),
    "an image": _case(True, 64, 48, 5, image=True, strength=0.6),
    "an image and all its steps": _case(True, 64, 48, 3, image=True, strength=1.0),
    "an image and a little noise": _case(False, 64, 48, 4, image=True, strength=0.25),
}  # fmt: skip


def picture() -> npt.NDArray[np.uint8]:
    """What images are made from: (70, 90, 3)."""
    rows, columns = np.mgrid[:70, :90]
    planes = [rows * 3, columns * 2, (rows * columns) // 20]
    return np.stack(planes, -1).astype(np.uint8)


def thinned(numbers: Any, every: int) -> list[float]:
    """Some of a tensor's numbers."""
    return [round(float(each), 6) for each in numbers.flatten()[::every]]
