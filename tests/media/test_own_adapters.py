"""Adapters that are part of a checkpoint: chosen by a prompt's media, beside those that a request
asks for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import soundfile
import torch
from PIL import Image
from tramontane import LLM
from tramontane.blocks.vision import EncoderLayer
from tramontane.cli import inspect, quantize
from tramontane.cli.run import run
from tramontane.engine.request import Request, RequestResult
from tramontane.errors import AdapterError, CheckpointError
from tramontane.media.item import MediaItem
from tramontane.sampling_params import SamplingParams

from .compared import DEVICES, GREEDY, request
from .folders import picture, write
from .latents import ALL
from .phi4 import Phi4, images
from .sounds import sound

IMAGE, SOUND = "<|image|>", "<|audio|>"
PATCH = 14
TEMPLATE = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
"""As published, but for tools: it takes texts, in which marks stand for media."""
PROMPTS = {
    "image": f"What is {IMAGE}?",
    "sound": f"{SOUND} says",
    "both": f"{SOUND} is of {IMAGE}, not {SOUND}?",
    "text": "What is it?",
}


@dataclass
class Case:
    folder: Path
    theirs: Phi4


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("model")
    return Case(folder, write(folder, ALL["phi4-multimodal"]))


def items(llm: LLM, text: str) -> list[MediaItem]:
    kinds = llm.inner.processors
    found = [kinds["image"].prepare(picture(60, 90, n)) for n in range(text.count(IMAGE))]
    found += [kinds["audio"].prepare(sound(0.4 + n / 3, n)) for n in range(text.count(SOUND))]
    return found


def asked(llm: LLM, text: str, **more: Any) -> Request:
    return request(llm, text, items(llm, text), **more)


def logits(theirs: Phi4, llm: LLM, one: Request) -> Any:
    """Of all tokens of a prompt, by transformers and plain sums."""
    row = llm.inner.tokenizer.inner.token_to_id("<|endoftext11|>")
    prepared = [] if one.media is None else [run.item for run in one.media.runs]
    seen = [item for item in prepared if item.kind == "image"]
    heard = [torch.from_numpy(item.arrays["features"]) for item in prepared
             if item.kind == "audio"]  # fmt: skip
    given: dict[str, Any] = images(seen, PATCH) if seen else {}
    if heard:
        given["sounds"] = heard, row
    with torch.no_grad():
        return theirs(torch.tensor([one.prompt]), **given).logits[0].numpy()


def scored(one: Request) -> Request:
    params = SamplingParams(max_tokens=0, temperature=0)
    return Request(prompt=one.prompt, media=one.media, adapters=one.adapters, params=params,
                   prompt_logits=True)  # fmt: skip


def error(llm: LLM, theirs: Phi4, one: Request) -> float:
    (found,) = llm._results([scored(one)])
    assert found.error is None
    expected = logits(theirs, llm, one)
    return float(np.abs(found.prompt_logits - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("device", DEVICES)
def test_prompts_have_the_adapter_of_their_media(case: Case, device: str) -> None:
    with LLM(case.folder, device=device, dtype="f32", activations="f32", kv_type="f32") as llm:
        for name, text in PROMPTS.items():
            one = asked(llm, text)
            assert error(llm, case.theirs, one) < 1e-4, name
            used = () if one.adapters is None else one.adapters.names
            assert used == {"text": (), "sound": ("speech:1",)}.get(name, ("vision:1",))
        assert not llm.adapters, "no request asks for them"


@pytest.mark.parametrize("device", DEVICES)
def test_an_adapter_of_a_request_is_added(case: Case, device: str, tmp_path: Path) -> None:
    """As peft adds several that are active."""
    theirs, tensors = case.theirs, dict[str, torch.Tensor]()
    generator = torch.Generator().manual_seed(3)
    before = {path: module.weight.data.clone() for path, module in theirs.changed()}
    for path, weight in before.items():
        first, second = (
            torch.randn(shape, generator=generator) / 9
            for shape in ((5, weight.shape[1]), (weight.shape[0], 5))
        )
        tensors[f"base_model.model.{path}.lora_A.weight"] = first
        tensors[f"base_model.model.{path}.lora_B.weight"] = second
        theirs.get_submodule(f"inner.{path}").weight.data += 0.5 * 3 * (second @ first)
    safetensors.torch.save_file(tensors, tmp_path / "adapter_model.safetensors")
    told = {"peft_type": "LORA", "r": 5, "lora_alpha": 15}
    (tmp_path / "adapter_config.json").write_text(json.dumps(told))
    exact = {"device": device, "dtype": "f32", "activations": "f32", "kv_type": "f32"}
    try:
        with LLM(case.folder, **exact, adapters={"mine": tmp_path}) as llm:
            for text in PROMPTS.values():
                plain = asked(llm, text)
                (one,) = llm.inner.requests(
                    plain.prompt, GREEDY.model_copy(update={"adapter": "mine:0.5"}),
                    media=plain.media,
                )  # fmt: skip
                assert error(llm, theirs, one) < 1e-4, text
    finally:
        for path, weight in before.items():
            theirs.get_submodule(f"inner.{path}").weight.data = weight


def bits(result: RequestResult) -> tuple[Any, ...]:
    assert result.error is None
    assert result.logprobs is not None
    return result.token_ids, tuple(one.logprob for one in result.logprobs)


def test_the_same_bits_in_any_company(case: Case) -> None:
    params = SamplingParams(temperature=0, max_tokens=12, ignore_eos=True, logprobs=True)
    with LLM(case.folder, prefix_cache=False) as llm:
        alone = [bits(llm._results([asked(llm, text, params=params)])[0])
                 for text in PROMPTS.values()]  # fmt: skip
    for options in ({}, {"batch_size": 7}, {"kv_tokens": 128}, {"media_cache": 1}):
        with LLM(case.folder, **options) as llm:
            for _ in range(2):
                every = [asked(llm, text, params=params) for text in PROMPTS.values()]
                found = [bits(result) for result in llm._results([*every, *every])]
                assert found == [*alone, *alone], options


def test_what_is_known_of_a_prompt_is_known_with_its_adapter(case: Case) -> None:
    """A text is another behind each adapter, even where its tokens are the same."""
    start = "This is a long text before anything is seen or heard, and it goes on: "
    with LLM(case.folder) as llm:

        def cached(text: str) -> int:
            return llm._results([asked(llm, start + text)])[0].usage.cached_tokens

        assert cached("what?") == 0
        assert cached(f"what? {SOUND}") == 0
        assert cached(f"what? {IMAGE}") == 0
        assert cached(f"who? {SOUND}") >= 64
        assert cached(f"who? {IMAGE} {SOUND}") >= 64
        assert cached("who?") >= 64


def test_a_sound_beside_an_image_is_another(case: Case) -> None:
    with LLM(case.folder) as llm:
        rows = llm.inner.engine.media
        assert rows is not None
        for text, encoded in ((PROMPTS["sound"], 1), (PROMPTS["both"], 4), (PROMPTS["both"], 4)):
            assert llm._results([asked(llm, text)])[0].error is None
            assert rows.encoded == encoded


def changed(case: Case, folder: Path, **config: Any) -> dict[str, torch.Tensor]:
    """A copy of the checkpoint whose tensors are still to be written."""
    for file in case.folder.iterdir():
        if file.suffix != ".safetensors":
            (folder / file.name).write_bytes(file.read_bytes())
    told = json.loads((folder / "config.json").read_text()) | config
    (folder / "config.json").write_text(json.dumps(told))
    return safetensors.torch.load_file(case.folder / "model.safetensors")


LAYER = "model.layers.1.mlp.down_proj.lora_"


@pytest.mark.parametrize(
    ("change", "config", "said"),
    [
        ({f"{LAYER}B.speech.weight": None}, {}, "down_proj.lora_B.speech.weight: a part is miss"),
        ({f"{LAYER}A.vision.weight": torch.zeros(3, 48)}, {}, "no pair of rank 4, as vision_lora"),
        ({}, {"vision_lora": None}, "the adapter vision, and config.json no vision_lora"),
        ({}, {"speech_lora": {"r": 5, "lora_alpha": 5}}, "no pair of rank 5, as speech_lora.r"),
        ({f"{LAYER}A.speech.weight": torch.full((6, 48), torch.inf)}, {}, "not finite"),
    ],
    ids=range(5),
)  # fmt: skip
def test_damaged_ones_are_refused(
    case: Case, tmp_path: Path, change: dict[str, Any], config: dict[str, Any], said: str
) -> None:
    tensors: dict[str, Any] = changed(case, tmp_path, **config) | change
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    safetensors.torch.save_file(kept, tmp_path / "model.safetensors")
    with pytest.raises((CheckpointError, AdapterError), match=said):
        LLM(tmp_path)


def test_a_checkpoint_without_them_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, ALL["phi4-multimodal-saved"])
    with LLM(tmp_path) as llm:
        assert asked(llm, PROMPTS["both"]).adapters is None
    assert "no adapter for vision and speech" in caplog.text


def test_prompts_with_media_run_as_recorded_steps(case: Case) -> None:
    with LLM(case.folder, device="cpu") as llm:
        model = llm.inner.loaded.model
        assert model.in_company
        assert model.mixes is not None
        for text in PROMPTS.values():
            one = asked(llm, text)
            assert one.adapters is None or model.mixes(one.adapters)
            assert llm._results([one])[0].error is None
        layers = [module for module in model.modules() if isinstance(module, EncoderLayer)]
        assert layers
        assert {getattr(layer, name).why for layer in layers for name in layer.by_rows} == {None}


@pytest.mark.parametrize("device", DEVICES)
def test_numbers_of_16_bits_stay_so(case: Case, device: str, tmp_path: Path) -> None:
    """And what is computed with them is what is computed with the same in 32 bits."""
    found = []
    for dtype in (torch.bfloat16, torch.float32):
        folder = tmp_path / str(dtype)
        folder.mkdir()
        tensors = {name: tensor.bfloat16().to(dtype) for name, tensor in changed(
            case, folder, vision_lora={"r": 4, "lora_alpha": 8}).items()}  # fmt: skip
        safetensors.torch.save_file(tensors, folder / "model.safetensors")
        with LLM(folder, device=device, dtype="f32", activations="f32", kv_type="f32") as llm:
            one = asked(llm, PROMPTS["both"])
            assert one.adapters is not None
            assert one.adapters.pairs is not None
            ((matrix, _),) = one.adapters.pairs["model.layers.0.mlp.down_proj"]
            assert matrix.left.dtype == matrix.right.dtype == dtype
            (result,) = llm._results([scored(one)])
            found.append(result.prompt_logits)
    # torch's own products depend a little on where numbers lie
    np.testing.assert_allclose(*found, rtol=0, atol=0 if device == "cpu" else 1e-5)


def test_the_command_line(case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, heard = tmp_path / "a.png", tmp_path / "a.wav"
    Image.fromarray(picture(60, 90)).save(image)
    soundfile.write(heard, sound(0.4), 16_000)
    template = tmp_path / "template.jinja"
    template.write_text(TEMPLATE)
    asked = ["-m", str(case.folder), "-n", "1", "--json", "-i", "what?"]
    asked += ["--chat-template", str(template)]
    assert run([*asked, "--image", str(image), "--audio", str(heard)]) == 0
    usage = json.loads(capsys.readouterr().out)["usage"]
    assert usage["image_tokens"] > usage["audio_tokens"] > 0
    assert inspect.run([str(case.folder)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "takes text, images and sounds" in printed
    assert "own adapters images: vision, sounds: speech, images and sounds: vision" in printed


def test_a_quantized_copy_keeps_them(case: Case, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert quantize.run([str(case.folder), str(out), "--to", "nf4"]) == 0
    with LLM(case.folder) as llm, LLM(out) as other:
        one, same = (asked(each, PROMPTS["both"]).adapters for each in (llm, other))
        assert one is not None
        assert same is not None
        assert same.digest == one.digest
        assert other._results([asked(other, PROMPTS["both"])])[0].error is None
