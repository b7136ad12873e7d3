"""Videos whose frames are seen one by one (SmolVLM, LLaVA-NeXT-Video, LLaVA-OneVision) against
transformers: logits, which frames are chosen, their pixels, and the prompt's text.

transformers' video processors need torchvision; what only they say is recorded here, of 5.23.0 with
torchvision 0.28.0.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tramontane import LLM
from tramontane.config import read_config
from tramontane.engine.request import Request
from tramontane.media.decode import prepared
from tramontane.media.item import MediaItem
from tramontane.media.processor import Given, MediaProcessor, with_media
from tramontane.sampling_params import SamplingParams
from tramontane_arch_idefics.model import Idefics3Config
from tramontane_arch_idefics.smolvlm import SmolTiles
from tramontane_arch_idefics.words import number_in_words
from tramontane_arch_llava.next_video import LlavaNextVideoConfig, LlavaNextVideoImages
from tramontane_arch_llava.onevision import OnevisionImages
from tramontane_arch_llava.onevision_config import OnevisionConfig

from .compared import DEVICES, differences
from .folders import picture, write
from .test_invariance import bits
from .watching import POINTS, WATCHING, moving, watched

FULL = os.environ.get("TRAMONTANE_FULL") == "1"
FIRST = {WATCHING[name].name: name for name in reversed(WATCHING)}
CASES = [
    (name, device)
    for name, vision in WATCHING.items()
    for device in DEVICES
    if FULL or device == "cpu" or FIRST[vision.name] == name
]
LLAVA = [name for name in FIRST.values() if name.startswith("llava")]
VIDEOS = [(1, 24.0), (7, 0.5), (12, 3.0), (49, 10.0), (300, 30.0), (3000, 29.97)]
"""Frames and their number a second."""


@pytest.mark.parametrize(("name", "device"), CASES)
def test_logits_and_tokens(name: str, device: str, tmp_path: Path) -> None:
    for found in differences(WATCHING[name], tmp_path, (device,), watched):
        assert found.logits < 1e-4, found
        assert found.tokens, found


@pytest.mark.parametrize("name", LLAVA)
@pytest.mark.parametrize("images", [1, 2])
def test_videos_beside_images(name: str, images: int, tmp_path: Path) -> None:
    vision = WATCHING[name]
    theirs = write(tmp_path, vision)
    with LLM(tmp_path, device="cpu", dtype="f32", activations="f32", kv_type="f32") as llm:
        kinds = llm.inner.processors
        items: list[MediaItem] = watched(llm, vision)[:2]
        items += [kinds["image"].prepare(picture(50, 31 + seed)) for seed in range(images)]
        text = "A <video> and " + "<image> or " * images + "<video>?"
        prompt, media = with_media(text, items, kinds, llm.inner.tokenizer)
        scored = Request(
            prompt=prompt, media=media, prompt_logits=True,
            params=SamplingParams(max_tokens=0, temperature=0),
        )  # fmt: skip
        (found,) = llm._results([scored])
        assert found.error is None
        placed = [run.item for run in media.runs if not run.first]
        ids = torch.tensor([prompt])
        with torch.no_grad():
            expected = theirs(input_ids=ids, **vision.inputs(placed, ids, 0)).logits[0].numpy()
        assert np.abs(found.prompt_logits - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("name", list(FIRST.values()) if FULL else ["smolvlm-videos"])
def test_the_same_bits_in_any_company(name: str, tmp_path: Path) -> None:
    write(tmp_path, WATCHING[name])
    params = SamplingParams(temperature=0, max_tokens=12, ignore_eos=True, logprobs=True)

    def asked(llm: LLM) -> list[Request]:
        clip, other, _ = watched(llm, WATCHING[name])
        found = []
        for text, items in (("Here <video> is it", [clip]), ("<video> and <video>", [other, clip])):
            prompt, media = with_media(text, items, llm.inner.processors, llm.inner.tokenizer)
            found.append(Request(prompt=prompt, media=media, params=params))
        return found

    with LLM(tmp_path, prefix_cache=False) as llm:
        expected = [bits(llm._results([one])[0]) for one in asked(llm)]
    for options in ({}, {"batch_size": 5}, {"kv_tokens": 512, "media_cache": 1}):
        with LLM(tmp_path, **options) as llm:  # type: ignore[arg-type]
            for _ in range(2):
                requests = [*asked(llm), *asked(llm)]
                assert [bits(one) for one in llm._results(requests)] == [*expected, *expected]


def smol(side: int, scale: int = 1, **told: Any) -> Any:
    """SmolVLM's processor of videos with squares of side x side pixels of patches of 4."""
    vision = {"hidden_size": 16, "num_attention_heads": 2, "image_size": side, "patch_size": 4}
    config = read_config(Idefics3Config, {"scale_factor": scale, "vision_config": vision})
    files = {"image_processor": {}, "video_processor": told}
    return SmolTiles(config, files).beside[0]


def llava(**told: Any) -> MediaProcessor:
    values = {"vision_config": {"image_size": 28, "patch_size": 7}, "image_grid_pinpoints": POINTS}
    config = read_config(LlavaNextVideoConfig, values)
    size = {"size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}}
    files = {"image_processor": size, "video_processor": size | told}
    return LlavaNextVideoImages(config, files).beside[0]


def onevision(**told: Any) -> OnevisionImages:
    values = {"vision_config": {"image_size": 28, "patch_size": 7}, "image_grid_pinpoints": POINTS}
    size = {"size": {"height": 28, "width": 28}}
    files = {"image_processor": size, "video_processor": size | told}
    return OnevisionImages(read_config(OnevisionConfig, values), files)


@pytest.mark.parametrize("sampling", [(1, 64), (2, 5), (0.3, 9), (25, 400)])
def test_smolvlm_chooses_transformers_frames(sampling: tuple[float, int]) -> None:
    theirs = import_module("transformers.models.smolvlm.video_processing_smolvlm")
    metadata = import_module("transformers.video_utils").VideoMetadata
    fps, most = sampling
    ours = smol(28, video_sampling={"fps": fps, "max_frames": most})
    for count, rate in VIDEOS:
        expected = theirs.SmolVLMVideoProcessor.sample_frames(
            SimpleNamespace(num_frames=most, fps=fps),
            metadata(total_num_frames=count, fps=rate, duration=count / rate),
        )
        assert list(ours.chosen(count, rate)) == expected.tolist()
    assert len(smol(28).chosen(49, 10.0)) == 49
    assert len(smol(28).chosen(49, 10.0, 2)) == 10


@pytest.mark.parametrize("told", [{"fps": 0.7}, {"num_frames": 1}, {"fps": 2, "num_frames": 3}])
def test_llava_chooses_transformers_frames(told: dict[str, Any]) -> None:
    theirs = import_module("transformers.video_utils")
    ours = llava(do_sample_frames=True, **told)
    for count, rate in VIDEOS:
        metadata = theirs.VideoMetadata(total_num_frames=count, fps=rate)
        frames, fps = told.get("num_frames"), told.get("fps")
        if (frames or count / rate * fps) <= count:  # more are refused there, and all taken here
            expected = theirs.default_sample_indices_fn(metadata, frames, fps).tolist()
            assert list(ours.chosen(count, rate)) == expected
        assert list(llava(**told).chosen(count, rate)) == list(range(count))
    assert list(llava().chosen(3, 1.0, 99)) == [0, 1, 2]


SIZES = ((33, 57), (70, 41), (131, 9), (4, 200), (28, 28))
RECORDED = {
    "smolvlm": [
        [228856, 192748, 200473],
        [208299, 197988, 212834],
        [223253, 193488, 188054],
        [234024, 203924, 161476],
        [206815, 180604, 127254],
    ],
    "llava-next-video": [
        [195812, 187214, 197782],
        [216055, 155022, 213575],
        [144247, 255700, 213230],
        [329832, 73530, 84322],
        [207171, 180202, 127264],
    ],
    "llava-onevision": [
        [229263, 192436, 200437],
        [208582, 197826, 212768],
        [223497, 193292, 187892],
        [227867, 206654, 165873],
        [207171, 180202, 127264],
    ],
}
"""Sums of the red, green and blue of the two frames of a video of each size."""


@pytest.mark.parametrize("name", RECORDED)
def test_pixels_are_transformers(name: str) -> None:
    ours = {
        "smolvlm": smol(28, size={"longest_edge": 64}, max_image_size={"longest_edge": 28}),
        "llava-next-video": llava(),
        "llava-onevision": onevision().beside[0],
    }[name]
    settings = getattr(ours, "images", ours).settings
    mean, std = (np.array(each)[:, None, None] for each in (settings.mean, settings.std))
    found = []
    for height, width in SIZES:
        item = prepared(Given(moving(2, height, width), 1.0), "v", ours)
        pixels = item.arrays["tiles" if name == "smolvlm" else "frames"]
        levels = np.rint((pixels * std + mean) * 255).astype(int)
        found.append(levels.sum((0, 2, 3)).tolist())
    assert found == RECORDED[name]


def test_smolvlm_writes_transformers_text(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = import_module("transformers.models.smolvlm.processing_smolvlm")
    monkeypatch.setattr(theirs, "num2words", number_in_words, raising=False)
    metadata = import_module("transformers.video_utils").VideoMetadata
    ours = smol(28, 7, video_sampling={"fps": 1, "max_frames": 64})
    for count, rate in VIDEOS:
        item = prepared(Given(np.zeros((count, 9, 7, 3), np.uint8), rate), "v", ours)
        told = metadata(
            total_num_frames=count, fps=rate, duration=count / rate,
            frames_indices=list(ours.chosen(count, rate)),
        )  # fmt: skip
        expected = theirs.SmolVLMProcessor.replace_video_token(
            SimpleNamespace(
                image_seq_len=1, image_token="<image>", global_image_token="<global-img>",
                fake_image_token="<fake_token_around_image>",
            ),
            {"pixel_values": item.arrays["tiles"][None], "video_metadata": [told]}, 0,
        )  # fmt: skip
        assert ours.written(item) == expected


def test_numbers_in_words() -> None:
    found = [number_in_words(number) for number in (0, 13, 20, 21, 101, 342, 1000, 1001, 262_144)]
    assert found == [
        "zero", "thirteen", "twenty", "twenty-one", "one hundred and one",
        "three hundred and forty-two", "one thousand", "one thousand and one",
        "two hundred and sixty-two thousand, one hundred and forty-four",
    ]  # fmt: skip


def test_a_template_without_a_place_for_videos(tmp_path: Path) -> None:
    """As SmolVLM2's, for which transformers has another that writes `<video>`."""
    write(tmp_path, WATCHING["smolvlm-videos"])
    template = (
        "{% for m in messages %}{{ m.role }}:{% for p in m.content %}{% if p.type == 'text' %}"
        "{{ p.text }}{% elif p.type == 'image' %}<image>{% endif %}{% endfor %}{% endfor %}"
    )
    (tmp_path / "chat_template.jinja").write_text(template)
    with LLM(tmp_path, device="reference") as llm:
        content = [{"type": kind} for kind in ("image", "video", "image")]
        text = llm.inner.render([{"role": "user", "content": content}])
        assert text == "user:<image><video><image>"
        part = {"type": "video", "video": moving(3, 20, 30), "fps": 1}
        answer = llm.chat([{"role": "user", "content": [part]}], max_tokens=1)
        assert answer.usage.video_tokens == 3 * 16


@pytest.mark.parametrize(
    ("build", "told", "said"),
    [
        (smol, {"do_resize": False}, "do_resize of false"),
        (smol, {"max_image_size": {"longest_edge": 30}}, "do not fit tiles of 28"),
        (smol, {"size": {"height": 8, "width": 8}}, "do not fit tiles of 28"),
        (smol, {"do_sample_frames": True}, "needs num_frames and fps"),
        (llava, {"do_center_crop": False}, "do_center_crop is false"),
        (llava, {"size": {"shortest_edge": 30}}, "does not fit an encoder of 28 x 28"),
    ],
)
def test_settings_that_are_refused(build: Any, told: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build(**({"side": 28} if build is smol else {}), **told)
