"""FLUX.1 against diffusers: text embeddings, latents after every step, and pixels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tramontane.blocks.vision import at_once
from tramontane.errors import RequestError
from tramontane.tasks.image import ImageModel
from tramontane_arch_flux import images as module
from tramontane_arch_flux.denoise import denoised

from tests.images.cases import CASES, Case, picture, thinned
from tests.images.make_reference import LATENTS, PIXELS, ROWS, made
from tests.images.tiny_flux import write_folder

REFERENCE: dict[str, Any] = json.loads(Path(__file__).with_name("reference.json").read_text())
"""Made by diffusers 0.42.1 with torch 2.13.0: python -m tests.images.make_reference."""
NEAR = {"rtol": 0, "atol": 1e-4}
"""Of numbers around 1: float32 in another order of sums, over all steps."""


class Seen:
    """Latents after each step of the first image, taken on their way."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.latents: list[list[float]] = []
        self.sigmas: list[float] = []
        self.encoded: Any = None
        images: list[int] = []

        def watched(*given: Any) -> Any:
            *rest, told = given
            images.append(0)
            if len(images) == 1:
                self.encoded = given[3]
                self.sigmas = [round(float(each), 6) for each in given[4].sigmas(given[2])]

            def seen(done: int, rows: torch.Tensor, clean: torch.Tensor) -> Any:
                if len(images) == 1:
                    self.latents.append(thinned(rows, LATENTS))
                yield from told(done, rows, clean)

            return denoised(*rest, seen)

        monkeypatch.setattr(module, "denoised", watched)


@pytest.fixture
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    opened: list[ImageModel] = []

    def open_case(case: Case, device: str) -> ImageModel:
        folder = tmp_path_factory.mktemp("flux") / "model"
        write_folder(folder, guided=case.guided, schedule=case.schedule)
        model = ImageModel(folder, device=device, threads=1)
        opened.append(model)
        return model

    yield open_case
    for model in opened:
        model.close()


@pytest.mark.parametrize(
    ("name", "device"),
    [*((name, "cpu") for name in CASES),
     *((name, "reference") for name in ("dev", "schnell", "an image"))],
)  # fmt: skip
def test_the_same_as_diffusers(
    name: str, device: str, models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, wanted = CASES[name], REFERENCE[name]
    seen = Seen(monkeypatch)
    options = dict(case.options)
    if options.get("image"):
        options["image"] = picture()
    found = models(case, device).images(case.prompt, **options)
    near(thinned(seen.encoded.rows, ROWS), wanted["rows"])
    near(thinned(seen.encoded.pooled, 1), wanted["pooled"])
    # of an image, diffusers says all sigmas, also those that strength leaves out
    near(seen.sigmas, wanted["sigmas"][-len(seen.sigmas) :])
    assert len(seen.latents) == len(wanted["latents"]) == len(seen.sigmas) - 1
    for ours, theirs in zip(seen.latents, wanted["latents"], strict=True):
        near(ours, theirs)
    assert len(found.images) == len(wanted["pixels"]) == case.options.get("n", 1)
    for image, theirs in zip(found.images, wanted["pixels"], strict=True):
        ours = torch.from_numpy(image).permute(2, 0, 1).flatten()[::PIXELS]
        exact = torch.tensor(theirs) * 255
        # a pixel is the nearest whole number, to which the bound of the latents is little
        assert (ours - exact).abs().max() < 0.51


@pytest.mark.parametrize("name", ["dev", "a batch", "an image"])
def test_the_stored_reference_is_what_diffusers_makes(name: str) -> None:
    if find_spec("diffusers") is None:
        pytest.skip("diffusers is not installed: reference.json says what it made")
    found = made(CASES[name])
    for key in ("rows", "pooled", "sigmas"):
        near(found[key], REFERENCE[name][key])
    for key in ("latents", "pixels"):
        for ours, theirs in zip(found[key], REFERENCE[name][key], strict=True):
            near(ours, theirs)


def test_an_image_of_a_batch_is_that_of_its_seed(models: Any) -> None:
    """Also where the other came through the same queue, and whatever was asked before."""
    case = CASES["a batch"]
    model = models(case, "cpu")
    several = model.images(case.prompt, **case.options)
    assert several.seeds == (7, 8, 9)
    for seed, image in zip(several.seeds, several.images, strict=True):
        model.images("something else", width=48, height=16, steps=1, seed=1)
        one = model.images(case.prompt, **{**case.options, "n": 1, "seed": seed})
        assert np.array_equal(one.images[0], image)


def test_a_vae_with_convolutions_around_its_latents() -> None:
    """Autoencoders of other models have them; FLUX.1's configuration says no."""
    from tramontane_arch_flux.config import VaeConfig
    from tramontane_arch_flux.vae import Vae

    cfg = VaeConfig(block_out_channels=(4, 4), norm_num_groups=2, latent_channels=2)
    torch.manual_seed(0)
    vae = Vae(cfg)
    for each in vae.parameters():
        each.data.normal_()
    for module_ in vae.modules():
        if hasattr(module_, "kernel"):
            module_.weight.data.normal_()
    moments = at_once(vae.encode(torch.randn(1, 3, 8, 8)))
    latents = vae.draw(moments, torch.Generator().manual_seed(0))
    assert latents.shape == (1, 2, 4, 4)
    assert at_once(vae.decode(latents)).shape == (1, 3, 8, 8)


def near(ours: Any, theirs: Any) -> None:
    torch.testing.assert_close(torch.tensor(ours), torch.tensor(theirs), **NEAR)


def test_a_size_that_there_is_no_memory_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ImageModel(write_folder(tmp_path / "flux"), device="reference") as model:
        monkeypatch.setattr(module.memory, "free", lambda: 1 << 20)
        with pytest.raises(RequestError, match=r"2048 x 2048 needs .* 1.* are free: ask for a"):
            model.images("a fox", width=2048, height=2048, steps=1)
        small = model.images("a fox", width=16, height=16, steps=1, max_sequence_length=8)
        assert small.images[0].shape == (16, 16, 3)
