"""Writes reference.json: what diffusers makes of `CASES`. Needs diffusers 0.42.1.

python -m tests.images.make_reference
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from tests.images.cases import CASES, Case, picture, thinned
from tests.images.tiny_flux import write_folder

LATENTS, PIXELS, ROWS = 7, 101, 97
"""Of how many numbers one is kept."""


def made(case: Case) -> dict[str, Any]:
    """What diffusers makes: of the first image the latents after each step, of all the pixels."""
    import diffusers

    options = dict(case.options)
    with tempfile.TemporaryDirectory() as aside:
        schedule = dict(case.schedule)
        if "shift" in options:
            schedule |= {"shift": options.pop("shift"), "use_dynamic_shifting": False}
        folder = write_folder(Path(aside) / "model", guided=case.guided, schedule=schedule)
        kind = diffusers.FluxImg2ImgPipeline if "image" in options else diffusers.FluxPipeline
        pipe = kind.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    if options.pop("image", False):
        options["image"] = Image.fromarray(picture())
    steps: list[list[float]] = []

    def seen(pipe: Any, index: int, time: Any, kept: dict[str, Any]) -> dict[str, Any]:
        steps.append(thinned(kept["latents"][0], LATENTS))
        return kept

    count, seed = options.pop("n", 1), options.pop("seed")
    with torch.no_grad():
        rows, pooled, _ = pipe.encode_prompt(
            case.prompt, case.prompt, max_sequence_length=options["max_sequence_length"]
        )
    images = pipe(
        case.prompt,
        num_images_per_prompt=count,
        num_inference_steps=options.pop("steps"),
        guidance_scale=options.pop("guidance", 0.0),
        generator=[torch.Generator().manual_seed(seed + index) for index in range(count)],
        output_type="pt",
        callback_on_step_end=seen,
        **options,
    ).images
    return {
        "sigmas": thinned(pipe.scheduler.sigmas, 1),
        "rows": thinned(rows, ROWS),
        "pooled": thinned(pooled, 1),
        "latents": steps,
        "pixels": [thinned(image, PIXELS) for image in images],
    }


if __name__ == "__main__":
    found = {name: made(case) for name, case in CASES.items()}
    path = Path(__file__).with_name("reference.json")
    path.write_text(json.dumps(found) + "\n")
