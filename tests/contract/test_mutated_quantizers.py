"""A format whose numbers are wrong fails the kit, by the plain decoder that it brings."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tramontane.plugin import Quantizer, load
from tramontane.testing.checks import quantizers as checks
from tramontane.testing.conformance import EQUAL

PAGE = Path(__file__).parents[2] / "docs" / "writing-a-quantizer.md"
MLX = '''
import json

import torch
from safetensors.torch import save_file
from tramontane.errors import CheckpointError
from tramontane.layouts import Affine


def translate(tensors, config):
    """Codes of 4 bits, eight to a word of 32, the first lowest; a scale and a minimum per group."""
    try:
        words, scales, minimum = (tensors[name] for name in ("weight", "scales", "biases"))
    except KeyError as error:
        raise CheckpointError(f"a quantized layer has no {error}") from error
    codes = words.view(torch.uint8)
    return Affine(4, config["group_size"], (codes,), scales, minimum=minimum)


def decode(tensors, config):
    codes = (tensors["weight"][..., None] >> torch.arange(0, 32, 4)).bitwise_and(15).flatten(1)
    scales, minimum = (
        tensors[name].float().repeat_interleave(config["group_size"], 1)
        for name in ("scales", "biases")
    )
    return scales * codes + minimum


def write(folder):
    torch.manual_seed(0)
    tensors = {
        "layer.weight": torch.randint(-2**31, 2**31 - 1, (8, 16), dtype=torch.int32),
        "layer.scales": torch.rand(8, 4) + 0.1,
        "layer.biases": torch.randn(8, 4),
    }
    save_file(tensors, folder / "model.safetensors")
    settings = {"quant_method": "acme-mlx", "group_size": 32}
    (folder / "config.json").write_text(json.dumps({"quantization_config": settings}))
    return folder
'''
OFFER = Quantizer(
    name="acme-mlx",
    translate="acme_mlx:translate",
    sample="acme_mlx:write",
    decode="acme_mlx:decode",
)
WRONG = {
    "minimum negated": ("minimum=minimum", "minimum=-minimum"),
    "codes reversed": ("words.view(torch.uint8)", "words.view(torch.uint8) ^ 255"),
    "columns reversed": ("words.view(torch.uint8)", "words.flip(1).view(torch.uint8)"),
    "no minimum": (", minimum=minimum", ""),
    "a zero point": ("minimum=minimum", "zero=1, minimum=minimum"),
}


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """(path=text, ...) -> modules that can be imported for the length of a test."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def write(texts: dict[str, str]) -> None:
        for path, text in texts.items():
            (tmp_path / path).parent.mkdir(exist_ok=True)
            (tmp_path / path).write_text(text)
        importlib.invalidate_caches()

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("acme"):
            del sys.modules[name]


def compare(offer: Quantizer, folder: Path) -> list[tuple[str, object]]:
    """Runs the check; returns what it says that it has compared."""
    said: list[tuple[str, object]] = []
    folder.mkdir()
    sample = load(offer.sample or "")(folder)
    checks.test_weights_are_those_of_the_plain_decoder(
        offer, sample, lambda name, value: said.append((name, value))
    )
    return said


def test_a_format_that_is_right_passes(modules: Callable[..., None], tmp_path: Path) -> None:
    modules({"acme_mlx.py": MLX})
    assert compare(OFFER, tmp_path / "sample") == [(EQUAL, "acme-mlx")]
    checks.test_layers_translate(OFFER, tmp_path / "sample")


@pytest.mark.parametrize("mutation", WRONG)
def test_one_that_reads_other_numbers_fails(
    modules: Callable[..., None], mutation: str, tmp_path: Path
) -> None:
    before, after = WRONG[mutation]
    assert before in MLX
    modules({"acme_mlx.py": MLX.replace(before, after)})
    with pytest.raises(AssertionError, match=r"layer\[.*reads as .*, and decode says"):
        compare(OFFER, tmp_path / "sample")


@pytest.mark.parametrize(
    ("before", "after"),
    [("zero=128", "zero=127"), ("scale, zero", "scale * 1.001, zero"), ("add(128)", "add(129)")],
)
def test_the_container_of_the_page_with_other_numbers_fails(
    modules: Callable[..., None], before: str, after: str, tmp_path: Path
) -> None:
    fence = re.compile(r"^```python file=(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    files = dict(fence.findall(PAGE.read_text("utf-8")))
    assert before in files["acme_acme8/container.py"]
    modules(files)
    (offer,) = load("acme_acme8.plugin:quantizers")()
    assert compare(offer, tmp_path / "right") == [(EQUAL, "acme8")]
    for name in [name for name in sys.modules if name.startswith("acme_acme8")]:
        del sys.modules[name]
    wrong = files["acme_acme8/container.py"].replace(before, after)
    modules({"acme_acme8/container.py": wrong})
    with pytest.raises(AssertionError, match="reads as"):
        compare(offer, tmp_path / "wrong")


def test_without_a_decoder_nothing_is_proven(tmp_path: Path) -> None:
    offer = Quantizer(name="acme", translate="acme:translate")
    with pytest.raises(pytest.skip.Exception, match="NOT PROVEN: that acme reads the right"):
        checks.test_weights_are_those_of_the_plain_decoder(offer, tmp_path, lambda *_: None)
