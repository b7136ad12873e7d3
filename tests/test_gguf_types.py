"""Types of GGUF that the gguf package does not decode, scales in tensors of their own, files with
the highest byte first and parts of files: a model answers as it does with decoded weights."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tramontane import memory
from tramontane.checkpoint.load import load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.errors import NotEnoughMemory
from tramontane.hub.options import HubOptions
from tramontane.model import file_sizes
from tramontane.model.fit import fit
from tramontane.registry import Registry
from tramontane_quant_gguf.types import STORED
from tramontane_quant_gguf.writer import Value, Written, write_gguf

from .conftest import Cli
from .parity import forward

HIDDEN, HEADS, EXPERTS, VOCABULARY = 256, 4, 3, 128
TOKENS = [3, 1, 4, 1, 5, 9, 2, 6, 5, 35]
NUMBER = {stored.name: number for number, stored in STORED.items()}
Tensors = list[Written]


def blocks(kind: str, rows: int, seed: int) -> NDArray[np.uint8]:
    """Random blocks (rows, ...) of HIDDEN columns, with scales that trained matrices have."""
    stored, random = STORED[NUMBER[kind]], np.random.default_rng(seed)
    count = rows * HIDDEN // stored.block
    raw = random.integers(0, 256, (count, stored.nbytes), dtype=np.uint8)
    if kind == "NVFP4":
        raw[:, :4] = random.integers(8, 40, (count, 4))
    elif kind == "Q8_K":  # a float32, and sums that nothing needs behind the codes
        raw[:, :4] = random.uniform(3e-4, 9e-4, count).astype("<f4")[:, None].view(np.uint8)
    else:
        least = 3e-4 if kind == "Q8_1" else 0.02
        scales = random.uniform(least, 3 * least, count).astype(np.float16)
        raw[:, :2] = scales[:, None].view(np.uint8)
    return raw


def tensors(kind: str, *, experts: bool = False, second: bool = False) -> Tensors:
    """A Llama's of one layer. second: whether each matrix has a scale beside it."""
    names = ["attn_q", "attn_k", "attn_v", "attn_output"]
    made = [ones("output_norm"), ones("blk.0.attn_norm"), ones("blk.0.ffn_norm")]
    ends = "_exps" if experts else ""
    stacked = [f"ffn_gate{ends}", f"ffn_up{ends}", f"ffn_down{ends}"]
    if experts:
        router = np.random.default_rng(9).normal(0, 0.1, (EXPERTS, HIDDEN)).astype("<f4")
        made.append(Written("blk.0.ffn_gate_inp.weight", 0, router.shape, router.tobytes()))
    shapes = {f"blk.0.{name}": (HIDDEN, HIDDEN) for name in names}
    stack = (EXPERTS, HIDDEN, HIDDEN) if experts else (HIDDEN, HIDDEN)
    shapes |= {f"blk.0.{name}": stack for name in stacked}
    shapes |= {name: (VOCABULARY, HIDDEN) for name in ("token_embd", "output")}
    for seed, (name, shape) in enumerate(shapes.items()):
        raw = blocks(kind, math.prod(shape[:-1]), seed)
        made.append(Written(f"{name}.weight", NUMBER[kind], shape, raw.tobytes()))
        if second and name != "token_embd":
            each = np.linspace(0.5, 2, math.prod(shape[:-2]), dtype="<f4")
            made.append(Written(f"{name}.scale", 0, each.shape, each.tobytes()))
    return made


def ones(name: str) -> Written:
    return Written(f"{name}.weight", 0, (HIDDEN,), np.ones(HIDDEN, "<f4").tobytes())


def metadata(experts: bool = False) -> dict[str, Value]:
    numbers: Mapping[str, Value] = {
        "block_count": 1, "context_length": 64, "embedding_length": HIDDEN,
        "feed_forward_length": HIDDEN, "vocab_size": VOCABULARY, "attention.head_count": HEADS,
        "attention.layer_norm_rms_epsilon": 1e-5, "rope.dimension_count": HIDDEN // HEADS,
        **({"expert_count": EXPERTS, "expert_used_count": 2} if experts else {}),
    }  # fmt: skip
    named = {f"llama.{key}": value for key, value in numbers.items()}
    return {"general.architecture": "llama", **named}


def logits(path: Path, device: str) -> torch.Tensor:
    registry = Registry()
    options = LoadOptions(device=device, num_ctx=64, activations="f32")
    loaded = load_model(open_checkpoint(path, registry), registry, options)
    (found,) = forward.logits(loaded, [TOKENS])
    return found


def decoded(path: Path, into: Path, experts: bool) -> Path:
    """The same model in float32."""
    checkpoint = open_checkpoint(path, Registry())
    made = []
    for name, info in checkpoint.header.tensors.items():
        weight = checkpoint.read(name).decode()
        made.append(Written(name, 0, info.shape, weight.numpy().tobytes()))
    return write_gguf(into, metadata(experts), made)


CASES: dict[str, tuple[str, bool, bool]] = {
    "one bit": ("Q1_0", False, False),
    "one bit, experts": ("Q1_0", True, False),
    "two bits": ("Q2_0", False, False),
    "two bits, experts": ("Q2_0", True, False),
    "eight bits, sums beside them": ("Q8_1", False, False),
    "eight bits, sums beside them, experts": ("Q8_1", True, False),
    "eight bits of activations": ("Q8_K", False, False),
    "eight bits of activations, experts": ("Q8_K", True, False),
    "second scales": ("NVFP4", False, True),
    "second scales, experts": ("NVFP4", True, True),
}


@pytest.mark.parametrize("device", ["reference", "cpu"])
@pytest.mark.parametrize(("kind", "experts", "second"), CASES.values(), ids=CASES.keys())
def test_logits(kind: str, experts: bool, second: bool, device: str, tmp_path: Path) -> None:
    made = tensors(kind, experts=experts, second=second)
    path = write_gguf(tmp_path / "packed.gguf", metadata(experts), made)
    dense = logits(decoded(path, tmp_path / "dense.gguf", experts), "reference")
    found = logits(path, device)
    assert (found - dense).abs().max() < 1e-5 * dense.abs().max()
    if second:
        plain = [tensor for tensor in made if not tensor.name.endswith(".scale")]
        without = logits(write_gguf(tmp_path / "plain.gguf", metadata(experts), plain), device)
        assert (without - dense).abs().max() > 1e-2 * dense.abs().max(), "scales count"


def test_parts_of_files(tmp_path: Path) -> None:
    made = tensors("Q2_0", experts=True)
    whole_file = write_gguf(tmp_path / "whole.gguf", metadata(experts=True), made)
    for part, held in enumerate((made[:6], made[6:])):
        split: dict[str, Value] = {"split.no": part, "split.count": 2}
        told = metadata(experts=True) if part == 0 else {}
        write_gguf(tmp_path / f"m-0000{part + 1}-of-00002.gguf", {**told, **split}, held)
    found = logits(tmp_path / "m-00001-of-00002.gguf", "cpu")
    assert torch.equal(found, logits(whole_file, "cpu"))


GROWS = {"IQ1_S": 1.76, "IQ2_XXS": 1.61, "IQ3_S": 1.25, "Q1_0": 1.89}


@pytest.mark.parametrize("kind", GROWS)
def test_what_is_larger_in_memory_is_planned_and_shown_by_its_size_there(
    kind: str, tmp_path: Path, run: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_gguf(tmp_path / "m.gguf", metadata(), tensors(kind))
    registry = Registry()
    checkpoint = open_checkpoint(path, registry)
    infos = checkpoint.header.tensors.values()
    size = sum(info.nbytes for info in infos)
    held = sum(info.in_memory or info.nbytes for info in infos)
    assert held / size == pytest.approx(GROWS[kind], rel=0.03)
    monkeypatch.setattr(memory, "free", lambda: held + (60 << 20))
    with pytest.raises(NotEnoughMemory) as caught:
        load_model(checkpoint, registry, LoadOptions(device="reference", num_ctx=64))
    said = str(caught.value)
    assert f"({memory.readable(held)} of weights, " in said
    assert f"{memory.readable(held + (60 << 20))} are free" in said
    status, out, err = run("inspect", path)
    assert status == 0, err
    assert f"{memory.readable(size)}, {memory.readable(held)} in memory, " in out
    assert f"9 x {kind}" in out
    status, out, err = run("tune", path, "--json", "--device", "reference")
    assert status == 0, err
    assert json.loads(out)["candidates"][0]["bytes"] == pytest.approx(held, rel=1e-3)


@pytest.mark.parametrize("kind", GROWS)
def test_quant_auto_counts_what_a_file_takes_in_memory(kind: str, tmp_path: Path) -> None:
    """A smaller file that takes more memory is not chosen for its size."""
    registry = Registry()
    large = write_gguf(tmp_path / "m-large.gguf", metadata(), tensors(kind))
    held = file_sizes.sizes_of({large.name: large.stat().st_size}, tmp_path, registry)[large.name]
    assert held.held > held.stored
    for free, why in ((held.held, "nothing fits well"), (held.held / 0.8 + 1, "is the largest")):
        fitted = fit(str(tmp_path), "auto", registry, HubOptions(), int(free))
        assert why in fitted.why
        assert f"{memory.readable(held.held)} in memory" in fitted.why
    write_gguf(tmp_path / "m-small.gguf", metadata(), tensors("Q2_K"))
    small = file_sizes.sizes_of({"m-small.gguf": 1}, tmp_path, registry)["m-small.gguf"]
    if small.held < held.held:
        fitted = fit(str(tmp_path), "auto", registry, HubOptions(), int(held.held / 0.8 - 1))
        assert Path(fitted.name).name == "m-small.gguf"
