"""Weights come from every kind of file and float type, whole, shared or converted as asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tramontane.checkpoint.load import Loaded, load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.layouts import Dense
from tramontane.registry import Registry

from .tiny_folder import CONFIG, tensors, write_folder

DATA = Path(__file__).parents[3] / "shared" / "data"
TINY = DATA / "weights" / "TinyStories-656K"


def opened(path: Path, progress: Any = None, **options: Any) -> Loaded:
    registry = Registry()
    chosen = LoadOptions(**{"device": "reference", **options})
    return load_model(open_checkpoint(path, registry), registry, chosen, progress)


def head(loaded: Loaded) -> torch.Tensor:
    weight = loaded.model.lm_head.weight
    assert isinstance(weight, Dense)
    return weight.data


def test_one_file(tmp_path: Path) -> None:
    loaded = opened(write_folder(tmp_path))
    assert torch.equal(head(loaded), tensors()["lm_head.weight"])
    assert loaded.report.container == "safetensors"
    assert loaded.report.layouts == {"float32": 16}
    assert loaded.report.bytes_in_file == sum(t.nbytes for t in tensors().values())


@pytest.mark.parametrize("name", ["model.safetensors", "other.safetensors"])
def test_a_file_by_its_name(tmp_path: Path, name: str) -> None:
    write_folder(tmp_path, name=name)
    assert torch.equal(head(opened(tmp_path / name)), tensors()["lm_head.weight"])


@pytest.mark.parametrize("ending", ["safetensors", "bin"])
@pytest.mark.parametrize("indexed", [True, False])
def test_shards(tmp_path: Path, ending: str, indexed: bool) -> None:
    write_folder(tmp_path, shards=3, ending=ending, indexed=indexed)
    loaded = opened(tmp_path)
    assert torch.equal(head(loaded), tensors()["lm_head.weight"])
    assert loaded.report.container == ("safetensors" if ending == "safetensors" else "pytorch")


@pytest.mark.parametrize("mmap", [True, False])
def test_matrices_of_any_strides_become_rows(tmp_path: Path, mmap: bool) -> None:
    """`torch.save` keeps strides, those of a transposed view too."""
    write_folder(tmp_path, name="pytorch_model.bin")
    saved = torch.load(tmp_path / "pytorch_model.bin")
    turned = {name: t.mT.contiguous().mT if t.dim() == 2 else t for name, t in saved.items()}
    torch.save(turned, tmp_path / "pytorch_model.bin")
    loaded = opened(tmp_path, mmap=mmap)
    assert not turned["lm_head.weight"].is_contiguous()
    assert torch.equal(head(loaded), tensors()["lm_head.weight"])
    weights = [
        m.weight for m in loaded.model.modules() if isinstance(getattr(m, "weight", 0), Dense)
    ]
    assert len(weights) > 10
    assert all(weight.data.is_contiguous() for weight in weights)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pth", "weights.pt"])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])
def test_pickles(tmp_path: Path, name: str, zipped: bool) -> None:
    write_folder(tmp_path, name=name, zipped=zipped)
    assert torch.equal(head(opened(tmp_path)), tensors()["lm_head.weight"])


def test_safetensors_are_preferred(tmp_path: Path) -> None:
    write_folder(tmp_path, name="pytorch_model.bin", scale=2)
    write_folder(tmp_path)
    (tmp_path / "training_args.bin").write_bytes(b"whatever")
    assert torch.equal(head(opened(tmp_path)), tensors()["lm_head.weight"])


@pytest.mark.parametrize("ending", ["safetensors", "bin"])
@pytest.mark.parametrize(
    "dtype",
    [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn,
     torch.float8_e5m2],
    ids=str,
)  # fmt: skip
def test_float_types_stay_as_they_are_stored(
    tmp_path: Path, dtype: torch.dtype, ending: str
) -> None:
    write_folder(tmp_path, dtype=dtype, ending=ending)
    loaded = opened(tmp_path)
    assert head(loaded).dtype == dtype
    assert loaded.dtype == torch.float32
    assert loaded.report.bytes_in_memory == sum(
        t.numel() * dtype.itemsize for name, t in tensors().items() if t.dim() == 2
    )
    assert loaded.model.model.norm.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("wanted", "dtype"),
    [("f32", torch.float32), ("bf16", torch.bfloat16), ("f16", torch.float16)],
)
def test_asked_for_another_type(tmp_path: Path, wanted: str, dtype: torch.dtype) -> None:
    loaded = opened(write_folder(tmp_path), dtype=wanted)
    assert torch.equal(head(loaded), tensors()["lm_head.weight"].to(dtype))
    assert loaded.model.model.embed_tokens.dtype == dtype == loaded.dtype
    assert loaded.model.model.norm.weight.dtype == dtype


@pytest.mark.parametrize("saved", ["lm_head.weight", "model.embed_tokens.weight", "both"])
def test_a_tied_head_is_one_weight(tmp_path: Path, saved: str) -> None:
    left_out = {"lm_head.weight", "model.embed_tokens.weight"} - {saved}
    kept = {n: t for n, t in tensors().items() if saved == "both" or n not in left_out}
    write_folder(tmp_path, {**CONFIG, "tie_word_embeddings": True}, weights=kept)
    loaded = opened(tmp_path)
    assert loaded.model.lm_head.weight is loaded.model.model.embed_tokens.weight
    source = "model.embed_tokens.weight" if saved == "both" else saved
    assert torch.equal(head(loaded), tensors()[source])


def test_without_mmap_the_file_may_go(tmp_path: Path) -> None:
    loaded = opened(write_folder(tmp_path), mmap=False)
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert torch.equal(head(loaded), tensors()["lm_head.weight"])


def test_overrides_replace_values(tmp_path: Path) -> None:
    loaded = opened(write_folder(tmp_path), overrides={"rope_theta": 5.0})
    assert loaded.config.rope_theta == 5.0


def test_buffers_that_the_model_computes_are_skipped(tmp_path: Path) -> None:
    extra = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}
    opened(write_folder(tmp_path, weights={**tensors(), **extra}))


def test_a_header_of_any_length(tmp_path: Path) -> None:
    """Old writers do not align what follows the header."""
    write_folder(tmp_path)
    data = (tmp_path / "model.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + length].rstrip() + b" "
    if len(header) % 8 == 0:
        header += b" "
    whole = len(header).to_bytes(8, "little") + header + data[8 + length :]
    (tmp_path / "model.safetensors").write_bytes(whole)
    assert torch.equal(head(opened(tmp_path)), tensors()["lm_head.weight"])


def test_progress_ends_at_the_whole(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    opened(write_folder(tmp_path), progress=lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (sum(t.nbytes for t in tensors().values()),) * 2


def test_a_language_model_inside_another_configuration(tmp_path: Path) -> None:
    outer = {"architectures": ["LlamaForCausalLM"], "text_config": CONFIG}
    assert opened(write_folder(tmp_path, outer)).config.hidden_size == CONFIG["hidden_size"]


@pytest.mark.skipif(not TINY.exists(), reason=f"no real weights: {TINY} is absent")
@pytest.mark.parametrize(("folder", "variant"), [("fp32", "fp32"), ("16bit", "bf16")])
def test_real_weights_have_the_logits_of_the_reference(folder: str, variant: str) -> None:
    from tramontane.engine.batch import Batch
    from tramontane.engine.kv_cache import KVCache

    record = json.loads((DATA / "derived" / "llama_tiny_reference.json").read_text())
    record = record["TinyStories-656K"]
    loaded = opened(TINY / folder)
    if folder == "fp32":  # saved under the name of the head alone
        assert loaded.model.lm_head.weight is loaded.model.model.embed_tokens.weight
    prompt = record["prompt"]["ids"]
    cache = KVCache(loaded.model, 8, loaded.dtype, torch.device("cpu"))
    batch = Batch.of([(0, len(prompt), len(prompt), cache.take(8), [len(prompt) - 1])], cache)
    with torch.inference_mode():
        logits = loaded.model(torch.tensor(prompt), batch)[0]
    bound = 2 * record["variants"][variant]["max_abs_logit_diff_vs_fp32"] + 1e-4
    assert torch.allclose(logits, torch.tensor(record["last_logits_fp32"]), atol=bound, rtol=1e-4)
