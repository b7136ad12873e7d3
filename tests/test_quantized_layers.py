"""Formats inside safetensors, as third parties add them: what their libraries wrote is read."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tramontane.checkpoint.load import Loaded, load_model
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.checkpoint.open import open_checkpoint
from tramontane.errors import CheckpointError, NotEnoughMemory, PluginConflict
from tramontane.layouts import PLANES, Affine, unpack
from tramontane.memory import readable
from tramontane.registry import Registry
from tramontane.testing.forward_passes import whole

from .conftest import Cli, Install
from .strangers.page import write_page

GOLDEN = Path(__file__).parents[2] / "shared" / "golden" / "quant" / "data"
MLX = ["affine-4", "affine-3-g32", "affine-5", "mixed-3-6"]
TOKENS = [1, 17, 200, 5, 90, 33, 64, 2]
Edit = Callable[[dict[str, Tensor], dict[str, Any]], object]


@pytest.fixture(scope="module")
def installed(install: Install, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page's MLX is installed."""
    page = tmp_path_factory.mktemp("page")
    write_page("writing-a-quantizer", page)
    return install(page / "mlx")


@pytest.fixture(autouse=True)
def visible(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This repository's own formats are not: they would claim what these do."""
    monkeypatch.syspath_prepend(str(installed))
    monkeypatch.setenv("TRAMONTANE_PLUGINS", ",".join(others()))


def others() -> list[str]:
    """What is installed, without this repository's formats."""
    names = {distribution.metadata["Name"] for distribution in distributions()}
    return sorted(name for name in names if not name.startswith("tramontane-quant-"))


def golden(kind: str) -> Path:
    folder = GOLDEN / "mlx" / kind
    if not folder.exists():
        pytest.skip(f"{folder} is not there")
    return folder


def loaded(folder: Path, device: str = "reference", **options: Any) -> Loaded:
    registry = Registry.from_environment()
    return load_model(
        open_checkpoint(folder, registry), registry, LoadOptions(device=device, **options)
    )


def edited(kind: str, folder: Path, edit: Edit) -> Path:
    """A copy with other tensors or configuration."""
    to = folder / kind
    shutil.copytree(golden(kind), to, copy_function=shutil.copyfile)
    to.chmod(0o755)
    tensors = load_file(to / "model.safetensors")
    config = json.loads((to / "config.json").read_text())
    edit(tensors, config)
    (to / "config.json").write_text(json.dumps(config))
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()},
              to / "model.safetensors")  # fmt: skip
    return to


def digest(weight: Tensor) -> str:
    return hashlib.sha256((weight.float() + 0.0).numpy().tobytes()).hexdigest()


def as_rounded(layout: Affine, dtype: torch.dtype) -> Tensor:
    """What the layout holds, with the roundings of a library that computes in `dtype`."""
    codes = unpack(layout.codes, PLANES[layout.bits]).view(layout.shape[0], -1, layout.group)
    codes = (codes - layout.zero).float()
    weight = (codes * layout.scale.to(dtype).float()[..., None]).to(dtype)
    if layout.minimum is not None:
        weight = (weight.float() + layout.minimum.to(dtype).float()[..., None]).to(dtype)
    return weight.flatten(1)


@pytest.mark.parametrize("kind", MLX)
def test_what_mlx_wrote_is_read_bit_by_bit(kind: str) -> None:
    model = loaded(golden(kind)).model
    expected = json.loads((golden(kind) / "expected.json").read_text())["weights"]
    for name, said in expected.items():
        layout = model.get_submodule(name.removesuffix(".weight")).weight
        assert isinstance(layout, Affine), name
        dtype = getattr(torch, said["dtype"])
        assert digest(as_rounded(layout, dtype)) == said["sha256"], name
        # exact products, which the library rounds twice
        first = torch.tensor(said["first"])
        most = layout.scale.float().abs().max() * 2**layout.bits
        assert (layout.decode()[0, :4] - first).abs().max() <= most * 2**-8, name


@pytest.mark.parametrize("device", ["reference", "cpu"])
@pytest.mark.parametrize("kind", ["affine-4", "mixed-3-6"])
def test_logits_are_those_of_the_decoded_weights(kind: str, device: str) -> None:
    transformers = pytest.importorskip("transformers")
    ours = loaded(golden(kind), device, dtype="f32", activations="f32").model
    exact = loaded(golden(kind)).model
    config = transformers.AutoConfig.from_pretrained(golden(kind))
    del config.quantization_config
    theirs = transformers.LlamaForCausalLM(config).float().eval()
    weights = {}
    for name in theirs.state_dict():
        module, _, last = name.rpartition(".")
        held = getattr(exact.get_submodule(module), last)
        weights[name] = held.decode() if not isinstance(held, Tensor) else held.float()
    theirs.load_state_dict(weights)
    with torch.inference_mode():
        expected = theirs(torch.tensor([TOKENS])).logits[0]
        found = whole(ours, TOKENS).float()
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


def test_a_folder_runs(run: Cli) -> None:
    status, out, err = run("run", "-m", golden("affine-4"), "-i", "a", "-n", "3", "--no-template")
    assert status == 0, err
    assert out


def tie(tensors: dict[str, Tensor], config: dict[str, Any], drop: str) -> None:
    for name in [name for name in tensors if name.startswith(drop)]:
        del tensors[name]
    config["tie_word_embeddings"] = True


@pytest.mark.parametrize("drop", ["lm_head", "model.embed_tokens", "nothing"])
def test_a_tied_head_shares_the_embeddings(drop: str, tmp_path: Path) -> None:
    folder = edited("affine-4", tmp_path, lambda t, c: tie(t, c, drop))
    model: Any = loaded(folder).model
    assert isinstance(model.lm_head.weight, Affine)
    assert model.lm_head.weight is model.model.embed_tokens.weight


def unquantize(tensors: dict[str, Tensor], config: dict[str, Any]) -> None:
    for part in ("scales", "biases"):
        del tensors[f"lm_head.{part}"]
    tensors["lm_head.weight"] = torch.randn(320, 128).bfloat16()
    config["quantization"]["lm_head"] = False


def test_a_layer_that_is_left_alone_is_dense_as_stored(tmp_path: Path) -> None:
    folder = edited("affine-4", tmp_path, unquantize)
    held: Any = loaded(folder).model.get_submodule("lm_head").weight
    assert held.kind == "bfloat16"


BROKEN: dict[str, tuple[Edit, str]] = {
    "missing": (
        lambda t, c: t.__delitem__("lm_head.biases"),
        "lm_head: biases missing",
    ),
    "missing layer": (
        lambda t, c: [t.pop(f"lm_head.{p}") for p in ("weight", "scales", "biases")],
        "missing: lm_head.weight",
    ),
    "unused below a layer": (
        lambda t, c: t.update({"lm_head.extra": torch.ones(2)}),
        "lm_head: not used by acme-mlx: lm_head.extra",
    ),
    "unused elsewhere": (
        lambda t, c: t.update({"model.other.scales": torch.ones(2)}),
        "not used: model.other.scales",
    ),
    "shape": (
        lambda t, c: t.update({f"lm_head.{p}": t[f"lm_head.{p}"][:300]
                               for p in ("weight", "scales", "biases")}),
        "lm_head: it is (300, 128), the model wants (320, 128)",
    ),
    "scales of other rows": (
        lambda t, c: t.update({f"lm_head.{p}": t[f"lm_head.{p}"][:300]
                               for p in ("scales", "biases")}),
        "lm_head: it is (300, 128), the model wants (320, 128)",
    ),
    "not a number": (
        lambda t, c: t["lm_head.scales"][3].fill_(torch.nan),
        "lm_head: 2 of its 640 scales are infinite or not numbers",
    ),
    "type": (
        lambda t, c: t.update({"lm_head.weight": t["lm_head.weight"].float()}),
        "lm_head: weight must be uint32",
    ),
    "bits": (
        lambda t, c: c["quantization_config"].update({"bits": 7}) or c["quantization"].clear(),
        "7 bits is not supported",
    ),
    "nobody claims it": (
        lambda t, c: (c.update(quantization_config={"w": 4}), c.pop("quantization")),
        "its quantization names no quant_method, and no installed plugin claims {'w': 4}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_named(case: str, tmp_path: Path) -> None:
    edit, said = BROKEN[case]
    folder = edited("affine-4", tmp_path, edit)
    with pytest.raises(CheckpointError, match=re.escape(said)) as caught:
        loaded(folder)
    assert str(folder) in str(caught.value)


def test_the_plan_counts_packed_bytes_before_a_weight_is_read() -> None:
    folder = golden("affine-4")
    tensors = load_file(folder / "model.safetensors")
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    report = loaded(folder).report
    assert report.bytes_in_file == size
    assert report.bytes_in_memory < size
    with pytest.raises(NotEnoughMemory, match=re.escape(f"({readable(size)} of weights, ")):
        loaded(folder, num_ctx=1 << 40)


def test_two_that_claim_a_configuration_are_both_named(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_page("writing-a-quantizer", tmp_path, {"acme": "other"})
    monkeypatch.syspath_prepend(str(install(tmp_path / "mlx")))
    monkeypatch.setenv("TRAMONTANE_PLUGINS", ",".join(others()))
    with pytest.raises(PluginConflict, match="'acme-mlx' and 'other-mlx' both claim"):
        loaded(golden("affine-4"))


def quantized(weight: Tensor) -> dict[str, Tensor]:
    """8 bits as MLX has them: groups of 32 columns."""
    groups = weight.unflatten(1, (-1, 32))
    least, most = groups.amin(-1), groups.amax(-1)
    scale = ((most - least) / 255).clamp(min=1e-8)
    codes = ((groups - least[..., None]) / scale[..., None]).round().clamp(0, 255).to(torch.uint8)
    return {"weight": codes.flatten(1).view(torch.uint32), "scales": scale, "biases": least}


SMALL = {
    "vocab_size": 320, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1,
    "num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0, "eos_token_id": 2,
}  # fmt: skip
OTHERS = {
    "Mixtral": SMALL | {"num_local_experts": 3, "num_experts_per_tok": 2},
    "Phi3": SMALL,
    "GPT2": {"vocab_size": 320, "n_embd": 64, "n_layer": 1, "n_head": 4, "n_positions": 64},
}


@pytest.mark.parametrize("device", ["reference", "cpu"])
@pytest.mark.parametrize("family", OTHERS)
def test_experts_and_fused_and_transposed_matrices_are_quantized(
    family: str, device: str, tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    name = f"{family}LMHeadModel" if family == "GPT2" else f"{family}ForCausalLM"
    config = getattr(transformers, f"{family}Config")(**OTHERS[family], initializer_range=0.1)
    theirs = getattr(transformers, name)(config).eval()
    theirs.save_pretrained(tmp_path)
    tensors, packed, decoded = load_file(tmp_path / "model.safetensors"), {}, {}
    for path, tensor in tensors.items():
        router = path.endswith(("mlp.gate.weight", "block_sparse_moe.gate.weight"))
        if tensor.ndim != 2 or router or path.endswith("wpe.weight"):
            packed[path] = decoded[path] = tensor
            continue
        parts = quantized(tensor)
        packed |= {f"{path.removesuffix('weight')}{part}": each for part, each in parts.items()}
        codes = parts["weight"].view(torch.uint8).unflatten(1, (-1, 32))
        decoded[path] = (codes * parts["scales"][..., None] + parts["biases"][..., None]).flatten(1)
    assert len(packed) > len(tensors)
    settings = json.loads((tmp_path / "config.json").read_text())
    save_file(decoded, tmp_path / "model.safetensors", {"format": "pt"})
    theirs = getattr(transformers, name).from_pretrained(tmp_path).eval()
    with torch.inference_mode():
        expected = theirs(torch.tensor([TOKENS])).logits[0]
    for packs in (False, True):  # what is plain reads the same
        if packs:
            settings["quantization"] = {"bits": 8, "group_size": 32}
            (tmp_path / "config.json").write_text(json.dumps(settings))
            save_file(packed, tmp_path / "model.safetensors")
        ours = loaded(tmp_path, device, dtype="f32", activations="f32")
        kinds = [kind for kind in ours.report.layouts if "affine8/g32" in kind]
        assert bool(kinds) == packs, ours.report.layouts
        with torch.inference_mode():
            found = whole(ours.model, TOKENS).float()
        assert (found - expected).abs().max() < 1e-4 * expected.abs().max()
