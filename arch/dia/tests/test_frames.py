"""The model and its loop against transformers' `generate`, on the reference and the CPU backend."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tramontane.blocks.vision import at_once
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.tasks.loaded_task import LoadedTask
from tramontane.tasks.opening import open_model
from tramontane_arch_dia.choose import Choosing
from tramontane_arch_dia.frames import FrameLoop, Speech, Spoken
from tramontane_arch_dia.model import text_ids

from .dia_folder import TEXT, processor, random_dac, random_dia, write_folder

GREEDY = Choosing(temperature=0)


@pytest.fixture(scope="module")
def dia() -> Any:
    return random_dia()


@pytest.fixture(scope="module")
def dac() -> Any:
    return random_dac()


@pytest.fixture(scope="module")
def folder(dia: Any, dac: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("dia"), dia, dac)


def opened(folder: Path, device: str, **options: Any) -> LoadedTask:
    found = open_model(folder, options=LoadOptions(device=device, **options))
    assert isinstance(found, LoadedTask)
    return found


def loop_of(loaded: LoadedTask) -> FrameLoop:
    return FrameLoop(loaded.model, torch.float32, torch.device("cpu"), 4)


@pytest.fixture(scope="module", params=["reference", "cpu"])
def loop(folder: Path, request: pytest.FixtureRequest) -> FrameLoop:
    loaded = opened(folder, request.param, activations="f32")
    if request.param == "cpu":
        assert loaded.report.kernels["step"] == "recorded"
    return loop_of(loaded)


@torch.inference_mode()
def begun(loop: FrameLoop, asked: Spoken) -> Speech:
    found: Any = at_once(loop.begin(asked))  # type: ignore[arg-type]
    assert isinstance(found, Speech)
    return found


@torch.inference_mode()
def made(loop: FrameLoop, *asked: Spoken) -> list[np.ndarray[Any, Any]]:
    """Rows of speeches that are made together."""
    speeches = [begun(loop, each) for each in asked]
    while running := [each for each in speeches if not each.done]:
        loop.step(running)
    for each in speeches:
        loop.drop(each)
    return [np.stack(each.rows) for each in speeches]


def theirs(dia: Any, dac: Any, text: str, new: int, **options: Any) -> np.ndarray[Any, Any]:
    """What transformers generates; new: rows."""
    inputs = processor(dac)(text=[text], padding=True, return_tensors="pt", **options)
    with torch.no_grad():
        found = dia.generate(**inputs, max_new_tokens=new, do_sample=False, **GUIDED)
    rows: np.ndarray[Any, Any] = found[0].numpy()
    return rows


GUIDED = {"guidance_scale": 3.0, "top_k": 45}


@pytest.mark.filterwarnings("ignore:`max_length` is ignored")
@pytest.mark.parametrize("text", [TEXT, "[S2] ü?"])
def test_frames_are_those_of_transformers(dia: Any, dac: Any, loop: FrameLoop, text: str) -> None:
    expected = theirs(dia, dac, text, 40)
    (rows,) = made(loop, Spoken(text=text, most=24, how=GREEDY))
    assert np.array_equal(rows, expected)


@pytest.mark.filterwarnings("ignore:`max_length` is ignored")
@pytest.mark.parametrize(("scale", "top_k"), [(1.0, 50), (1.5, 45), (6.0, 3)])
def test_guidance(
    dia: Any, dac: Any, loop: FrameLoop, scale: float, top_k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(GUIDED, "guidance_scale", scale)
    monkeypatch.setitem(GUIDED, "top_k", top_k)
    how = Choosing(temperature=0, guidance=scale, top_k=top_k)
    (rows,) = made(loop, Spoken(text=TEXT, most=14, how=how))
    assert np.array_equal(rows, theirs(dia, dac, TEXT, 30))


@pytest.mark.filterwarnings("ignore:`max_length` is ignored")
def test_the_model_ends_a_speech(dac: Any, tmp_path: Path) -> None:
    dia = random_dia(3)
    code = int(theirs(dia, dac, TEXT, 30)[12, 0])
    with torch.no_grad():  # where that code is the most likely, the end is more so
        weight = dia.logits_dense.weight
        weight[1024] = weight[code] * 1.5
    loop = loop_of(opened(write_folder(tmp_path, dia, dac), "reference"))
    expected = theirs(dia, dac, TEXT, 60)
    (rows,) = made(loop, Spoken(text=TEXT, most=44, how=GREEDY))
    assert 16 < len(expected) <= 12 + 16
    assert np.array_equal(rows, expected)


@pytest.mark.filterwarnings("ignore:`max_length` is ignored")
def test_a_voice_goes_before(dia: Any, dac: Any, loop: FrameLoop) -> None:
    sound = np.random.default_rng(0).normal(size=512 * 20).astype(np.float32) / 4
    expected = theirs(dia, dac, TEXT, 30, audio=[sound])
    with torch.no_grad():
        codes = dac.encode(torch.from_numpy(sound)[None, None]).audio_codes[0].T.numpy()
    (rows,) = made(loop, Spoken(text=TEXT, prompt=codes, most=14, how=GREEDY))
    assert np.array_equal(rows, expected)


@torch.inference_mode()
def test_logits_are_those_of_transformers(dia: Any, dac: Any, loop: FrameLoop) -> None:
    codes = torch.randint(0, 1024, (1, 20, 9), generator=torch.Generator().manual_seed(3))
    codes[:, 0] = 1026
    ids = torch.tensor([list(text_ids(TEXT))])
    expected = dia(input_ids=ids, decoder_input_ids=codes).logits[:, -1].numpy()
    speech = begun(loop, Spoken(text=TEXT, how=Choosing(guidance=1.0, temperature=0)))
    speech.rows = list(codes[0].numpy())
    seen: list[Any] = []
    speech.add = lambda logits, plain: seen.append(logits.copy())  # type: ignore[method-assign]
    loop.step([speech])
    loop.drop(speech)
    np.testing.assert_allclose(seen[0], expected, rtol=0, atol=2e-4)


def several() -> Sequence[Spoken]:
    prompt = np.random.default_rng(1).integers(0, 1024, (30, 9))
    return [
        Spoken(text=TEXT, most=12, seed=1),
        Spoken(text="[S1] " + "long " * 30, most=20, seed=2, how=Choosing(guidance=1.0)),
        Spoken(text=TEXT, most=12, seed=3, prompt=prompt),
        Spoken(text=TEXT, most=5, seed=1, how=Choosing(guidance=2.0, temperature=1.1)),
    ]


def test_speeches_have_the_same_codes_in_company(folder: Path) -> None:
    loop = loop_of(opened(folder, "cpu"))
    asked = several()
    alone = [made(loop, each)[0] for each in asked]
    together = made(loop, *asked)
    assert all(np.array_equal(*both) for both in zip(alone, together, strict=True))
    again = made(loop, *reversed(asked))
    assert all(np.array_equal(*both) for both in zip(alone, reversed(again), strict=True))
    assert loop.cache.free == loop.cache.blocks
    assert loop.items.pool.free == loop.items.blocks - 1  # the row that stands for no text


def test_quantized_weights_are_close(folder: Path) -> None:
    loaded = opened(folder, "cpu", isq="q8_0")
    assert loaded.report.quantized is not None
    assert loaded.report.kernels["step"] == "recorded"
    (mine,) = made(loop_of(loaded), Spoken(text=TEXT, most=1, how=GREEDY))
    (exact,) = made(loop_of(opened(folder, "reference")), Spoken(text=TEXT, most=1, how=GREEDY))
    assert (mine[1] == exact[1]).mean() > 0.5


def test_frames_come_back_in_their_order(loop: FrameLoop) -> None:
    speech = begun(loop, Spoken(text=TEXT, most=20, seed=5))
    ready = []
    with torch.inference_mode():
        while not speech.done:
            loop.step([speech])
            ready.append(speech.ready())
    assert ready == sorted(ready)
    assert ready[-1] == 20
    codes, delays = speech.codes(0, 20), speech.cfg.delay_pattern
    for channel, delay in enumerate(delays):
        rows = np.stack(speech.rows)[1 + delay : 21 + delay, channel]
        assert np.array_equal(codes[:, channel], rows)
    assert codes.max() < 1024
    loop.drop(speech)
