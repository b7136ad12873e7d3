"""What every backend must do: find its devices quietly, and compute what the reference does."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from tramontane import reference
from tramontane.backend import Device, Reason
from tramontane.blocks import Attention, CausalLM, Embedding, Linear, StackedLinear
from tramontane.engine.batch import Batch
from tramontane.engine.kv_cache import BLOCK_SIZE, KVCache
from tramontane.engine.kv_codes import INT4
from tramontane.plugin import Backend, load
from tramontane.system.standing import preparing
from tramontane.testing.blocks_in_file import stored_matrices
from tramontane.testing.forward_passes import in_pieces, together, whole
from tramontane.testing.rounding import Bound, let_round, product_bound, relative, rounds
from tramontane.testing.tiny_model import LAYOUTS, tiny_model
from tramontane.testing.tiny_variants import VARIANTS

ROWS = (1, 7, 40)
KV_DTYPES = (torch.float32, torch.float16, torch.float8_e4m3fn, torch.int8, INT4)
PROMPTS = [[(7 * i + 3) % 320 for i in range(length)] for length in (1, 33, 8)]


def first_device(offer: Backend) -> Device:
    """Where to run; a backend that finds no device here has nothing more to show."""
    found: list[Device] = load(offer.probe)()
    if not found:
        pytest.skip("it finds no device on this machine")
    return found[0]


def test_probing_is_quick_and_never_raises(offer: Backend) -> None:
    load(offer.probe)  # importing may take its time
    started = time.perf_counter()
    found = load(offer.probe)()
    seconds = time.perf_counter() - started
    assert isinstance(found, list)
    assert seconds < 2, f"it took {seconds:.1f} s; `doctor` and every start wait for it"


def test_devices_are_described(offer: Backend) -> None:
    found = load(offer.probe)()
    for device in found:
        assert isinstance(device, Device)
        own = device.name.partition(":")[0]
        assert own in (offer.name, *offer.aliases), f"--device {device.name} finds another backend"
        assert device.label
        assert device.memory_total > 0
        assert 0 <= device.memory_free <= device.memory_total
        assert device.dtype in ("float32", "bfloat16", "float16")
    assert len({device.name for device in found}) == len(found), "two devices have one name"


def test_doctor_is_told_in_words(offer: Backend) -> None:
    if offer.explain is None:
        pytest.skip("it has no explain=")
    for reason in load(offer.explain)():
        assert isinstance(reason, Reason)
        assert reason.message


def prepared(offer: Backend, model: CausalLM, activations: str, threads: int = 1) -> torch.device:
    """Where the model is, once the backend has made it fast."""
    device = first_device(offer)
    chosen = preparing(offer)(model, device, threads, activations)
    assert isinstance(chosen, Mapping), f"prepare returned {type(chosen).__name__}"
    return torch.device(device.torch_device)


def random_rows(count: int, columns: int) -> torch.Tensor:
    """Numbers that activations might be."""
    return torch.randn(count, columns, generator=torch.Generator().manual_seed(count))


@pytest.mark.parametrize("activations", ["f32", "auto"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_product_is_the_references(offer: Backend, layout: str, activations: str) -> None:
    model, plain = tiny_model(layout), tiny_model(layout)
    where = prepared(offer, model, activations)
    for (path, module), twin in zip(model.named_modules(), plain.modules(), strict=True):
        if not isinstance(twin, Linear) or ".layers.1." in path:  # which is like layer 0
            continue
        for count in ROWS:
            x = random_rows(count, twin.weight.shape[1])
            bound = product_bound(x, twin.weight, activations)
            got = module.kernel(x.to(where), module.weight)
            what = f"linear {twin.weight.kind}, {activations}, {path}, {count} tokens"
            bound.check(got, reference.linear(x, twin.weight), what)


@pytest.mark.parametrize("activations", ["f32", "auto"])
@pytest.mark.parametrize("layout", ["float32", "affine4", "affine8"])
def test_each_product_of_experts_is_the_references(
    offer: Backend, layout: str, activations: str
) -> None:
    model, plain = (tiny_model(layout, VARIANTS["experts"]) for _ in range(2))
    where = prepared(offer, model, activations)
    for (path, module), twin in zip(model.named_modules(), plain.modules(), strict=True):
        if not isinstance(twin, StackedLinear):
            continue
        for counts in ([0, 1, 0, 0], [3, 0, 17, 5]):
            x = random_rows(sum(counts), twin.weight.shape[1])
            rows, change = torch.tensor(counts), rounds(twin.weight, activations)
            expected = reference.grouped_linear(x, rows, twin.weight)
            noisy = reference.grouped_linear(change(x) if change else x, rows, twin.weight)
            sizes = (twin.weight.shape[1], twin.weight.shape[0] // twin.count, len(x))
            got = module.kernel(x.to(where), rows.to(where), module.weight)
            what = f"experts {twin.weight.kind}, {activations}, {path}, rows {counts}"
            Bound(relative(noisy, expected), sizes).check(got, expected, what)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_of_a_table_are_the_references(offer: Backend, layout: str) -> None:
    model, table = tiny_model(layout), tiny_model(layout).lm_head.weight
    model.model.embed_tokens.weight = table
    where = prepared(offer, model, "f32")
    ids = torch.tensor([3, 0, 319, 3, 77])
    got = model.model.embed_tokens(ids.to(where))
    Bound(0.0).check(got, reference.embedding(ids, table, torch.float32), f"rows of {table.kind}")


@pytest.mark.parametrize("kv_dtype", KV_DTYPES, ids=str)
@pytest.mark.parametrize("variant", ["plain", "window", "chunk", "alibi", "softcap", "sinks"])
def test_attention_is_the_references(offer: Backend, variant: str, kv_dtype: torch.dtype) -> None:
    model = tiny_model("float32", VARIANTS[variant])
    where = prepared(offer, model, "f32")
    found = next(m for m in model.modules() if isinstance(m, Attention))
    options = (found.scale, found.window, found.softcap, found.alibi)
    more: dict[str, Any] = {} if found.sinks is None else {"sinks": found.sinks}
    if found.chunk is not None:
        more["chunk"] = found.chunk
    shape, lengths, counts = (found.kv_heads, found.d_head), (1, 53, 40), (1, 1, 18)
    results: list[torch.Tensor] = []
    for device in (torch.device("cpu"), where):
        plain = tiny_model("float32", VARIANTS[variant])
        cache = KVCache(plain, 16, kv_dtype, device)
        held = [cache.take(-(-length // BLOCK_SIZE))[::-1] for length in lengths]
        for seed, (length, blocks) in enumerate(zip(lengths, held, strict=True)):
            whole_prompt = Batch.of([(0, length, length, blocks, [])], cache)
            random = torch.Generator().manual_seed(seed)
            numbers = torch.randn(2, length, *shape, generator=random).to(device)
            cache.layers[0].store(whole_prompt.slots, *numbers)
        pieces = [
            (length - count, count, length, blocks, [count - 1])
            for length, count, blocks in zip(lengths, counts, held, strict=True)
        ]
        heads = model.cfg.num_attention_heads
        q = random_rows(sum(counts), heads * found.d_head).unflatten(1, (heads, -1)).to(device)
        kernel = reference.attention if len(results) == 0 else found.kernel
        results.append(kernel(q, cache.layers[0], Batch.of(pieces, cache), *options, **more))
    Bound(0.0).check(results[1], results[0].cpu(), f"attention, {variant}, cache {kv_dtype}")


@pytest.mark.parametrize("activations", ["f32", "auto"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_logits_are_the_references(offer: Backend, layout: str, activations: str) -> None:
    compare_logits(offer, (layout, "plain"), activations, torch.float32)


@pytest.mark.parametrize("kv_dtype", KV_DTYPES, ids=str)
@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_of_variants_are_the_references(
    offer: Backend, variant: str, kv_dtype: torch.dtype
) -> None:
    compare_logits(offer, ("float32", variant), "f32", kv_dtype)


def compare_logits(
    offer: Backend, made: tuple[str, str], activations: str, kv_dtype: torch.dtype
) -> None:
    """Of prompts as a whole, in a batch, and token by token. made: layout and variant."""
    layout, variant = made
    plain, rounded, model = (tiny_model(layout, VARIANTS[variant]) for _ in range(3))
    let_round(rounded, activations)
    where = prepared(offer, model, activations)
    what = f"logits of {layout}, {variant}, {activations}, cache {kv_dtype}"
    pieces = [20, *[1] * 13]
    for index, prompt in enumerate(PROMPTS):
        expected = whole(plain, prompt, kv_dtype=kv_dtype)
        noise = relative(whole(rounded, prompt, kv_dtype=kv_dtype), expected)
        if kv_dtype != torch.float32:
            # a number of the cache on the border between two codes may become either
            noise = max(noise, relative(whole(plain, prompt), expected))
        bound = Bound(noise)
        bound.check(whole(model, prompt, where, kv_dtype), expected, what)
        bound.check(together(model, PROMPTS, where, kv_dtype)[index], expected, f"{what}, batch")
        if len(prompt) == sum(pieces):
            for stepped in (False, True):
                got = in_pieces(model, prompt, pieces, where, kv_dtype, stepped=stepped)
                bound.check(got, expected, f"{what}, token by token, {stepped=}")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_packed_weights_give_the_same_logits(offer: Backend, layout: str) -> None:
    if offer.pack is None:
        pytest.skip("it has no pack=")
    device, model = first_device(offer), tiny_model(layout)
    for module in model.modules():
        if isinstance(module, (Linear, Embedding)):
            shape = module.weight.shape
            module.weight = load(offer.pack)(module.weight, device, 1)
            assert module.weight.shape == shape, f"pack changed the shape of {layout}"
    where = prepared(offer, model, "f32")
    plain, rounded = tiny_model(layout), tiny_model(layout)
    let_round(rounded, "f32")
    expected = whole(plain, PROMPTS[1])
    bound = Bound(relative(whole(rounded, PROMPTS[1]), expected))
    bound.check(whole(model, PROMPTS[1], where), expected, f"logits of packed {layout}")


def test_translated_blocks_give_the_same_products(offer: Backend, tmp_path: Path) -> None:
    if offer.translate is None:
        pytest.skip("it has no translate=")
    device = first_device(offer)
    with (tmp_path / "matrices").open("w+b") as file:
        matrices = stored_matrices(file, 256, 256)
        made = load(offer.translate)(list(matrices.values()), device, 1)
        assert len(made) == len(matrices), "translate returns one weight, or None, for each matrix"
        for (name, stored), weight in zip(matrices.items(), made, strict=True):
            if weight is None:  # left to the format's own translation
                continue
            model, plain = tiny_model("float32"), stored.translated()
            linear = model.get_submodule("model.layers.0.self_attn.q_proj")
            assert isinstance(linear, Linear)
            assert tuple(weight.shape) == linear.weight.shape, name
            linear.weight = weight
            where = prepared(offer, model, "f32")
            x = random_rows(20, 256)
            got = linear.kernel(x.to(where), linear.weight)
            bound = product_bound(x, plain, "f32")
            bound.check(got, reference.linear(x, plain), f"translated {name}")


def test_a_run_repeated_gives_the_same_bits(offer: Backend) -> None:
    model = tiny_model("affine4")
    where = prepared(offer, model, "auto", threads=2)
    first = whole(model, PROMPTS[1], where)
    assert torch.equal(whole(model, PROMPTS[1], where), first)
