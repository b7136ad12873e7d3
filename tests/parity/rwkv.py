"""RWKV-7, which transformers has no class for: its formula in plain PyTorch, and random models in
each form of checkpoint.

`python -m tests.parity.rwkv PYTHON`: the same as GGUF files in llama-cpp-python, which PYTHON is an
interpreter with. The formula is the paper's (Peng et al. 2025), a token and a head at a time, and
takes tensors by the names of the makers' own files.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
import torch.nn.functional as F
from gguf import GGMLQuantizationType as Type
from safetensors.torch import save_file
from torch import Tensor
from tramontane.errors import NoReference
from tramontane.verifying.llama_cpp import llama_cpp_logits

from .gguf_file import random_blocks

Tensors = dict[str, Tensor]
SIZES = {"vocab": 99, "hidden": 48, "wide": 80, "layers": 3, "head": 12, "ranks": (6, 5, 4, 7)}
"""ranks: of the decay w, the rate a, the first layer's value v, and the gate g, 0 for none."""
VARIANTS: dict[str, dict[str, Any]] = {
    "odd": {},
    "wide-heads": {"hidden": 64, "head": 32, "wide": 32, "layers": 2, "ranks": (32, 16, 8, 32)},
    "small-heads": {"hidden": 36, "head": 4, "layers": 4, "ranks": (3, 9, 2, 2)},
}
PACKED = {"vocab": 96, "hidden": 256, "wide": 256, "layers": 2, "head": 64, "ranks": (32,) * 4}
"""Sizes whose matrices all formats of GGUF can have."""
THREE = {"hidden": 192, "head": 64, "wide": 96, "ranks": (6, 5, 4, 7)}
"""llama.cpp computes on whole vectors of its processor: heads are of 64 numbers in it."""


def random_tensors(sizes: dict[str, Any], seed: int = 5, *, qwen: bool = False) -> Tensors:
    """qwen: ARWKV, whose norms have no bias, whose other half is gated, and which has no norm of
    heads."""
    chance = torch.Generator().manual_seed(seed)
    hidden, wide, size = sizes["hidden"], sizes["wide"], sizes["head"]

    def normal(*shape: int, spread: float = 0.2, mean: float = 0.0) -> Tensor:
        return mean + spread * torch.randn(*shape, generator=chance)

    found: Tensors = {"emb.weight": normal(sizes["vocab"], hidden)}

    def norm(name: str, dim: int = hidden, bias: bool = not qwen) -> None:
        found[f"{name}.weight"] = normal(dim, mean=1.0)
        if bias:
            found[f"{name}.bias"] = normal(dim)

    for layer in range(sizes["layers"]):
        block = f"blocks.{layer}."
        if layer == 0 and not qwen:
            norm(f"{block}ln0")
        norm(f"{block}ln1")
        norm(f"{block}ln2")
        for name, rank in zip("wavg", sizes["ranks"], strict=True):
            if not rank or (name == "v" and layer == 0):
                continue
            found[f"{block}att.{name}1"] = normal(hidden, rank)
            found[f"{block}att.{name}2"] = normal(rank, hidden)
            if name != "g":
                found[f"{block}att.{name}0"] = normal(1, 1, hidden, spread=1.0)
        for name in "rwkvag" if sizes["ranks"][3] else "rwkva":
            found[f"{block}att.x_{name}"] = torch.rand(1, 1, hidden, generator=chance)
        found[f"{block}att.k_k"] = normal(1, 1, hidden, spread=1.0)
        found[f"{block}att.k_a"] = normal(1, 1, hidden, spread=1.0)
        found[f"{block}att.r_k"] = normal(hidden // size, size)
        for name in ("receptance", "key", "value", "output"):
            found[f"{block}att.{name}.weight"] = normal(hidden, hidden)
        if not qwen:
            norm(f"{block}att.ln_x")
            found[f"{block}ffn.x_k"] = torch.rand(1, 1, hidden, generator=chance)
        for name in ("gate", "up") if qwen else ("key",):
            found[f"{block}ffn.{name}.weight"] = normal(wide, hidden)
        found[f"{block}ffn.{'down' if qwen else 'value'}.weight"] = normal(hidden, wide)
    norm("ln_out")
    found["head.weight"] = normal(sizes["vocab"], hidden)
    return found


def formula(tensors: Tensors, tokens: list[int]) -> Tensor:
    """Logits of a sequence, (tokens, vocabulary), in float64."""
    z = {name: data.double() for name, data in tensors.items()}
    layers = 1 + max(int(name.split(".")[1]) for name in z if name.startswith("blocks."))
    heads, size = z["blocks.0.att.r_k"].shape

    def norm(x: Tensor, name: str) -> Tensor:
        weight, bias = z[f"{name}.weight"], z.get(f"{name}.bias")
        if bias is None:
            return x * (x.square().mean() + 1e-5).rsqrt() * weight
        return F.layer_norm(x, x.shape, weight, bias, 1e-5)

    last = [[torch.zeros(heads * size).double() for _ in range(2)] for _ in range(layers)]
    states = torch.zeros(layers, heads, size, size).double()  # rows: of values
    halves = [[{n.rpartition(f".{half}.")[2]: data for n, data in z.items()
                if n.startswith(f"blocks.{layer}.{half}.")} for half in ("att", "ffn")]
              for layer in range(layers)]  # fmt: skip
    rows = []
    for token in tokens:
        x = z["emb.weight"][token]
        if "blocks.0.ln0.weight" in z:
            x = norm(x, "blocks.0.ln0")
        first: Tensor | None = None
        for layer in range(layers):
            block = f"blocks.{layer}."
            t, ffn = halves[layer]
            now = norm(x, f"{block}ln1")
            m = {n: now + (last[layer][0] - now) * t[f"x_{n}"].flatten()
                 for n in "rwkvag" if f"x_{n}" in t}  # fmt: skip
            last[layer][0] = now
            r, k, v = (t[f"{n}.weight"] @ m[n[0]] for n in ("receptance", "key", "value"))
            decay = t["w0"].flatten() + (m["w"] @ t["w1"]).tanh() @ t["w2"]
            decay = (-torch.tensor(-0.5).exp() * decay.sigmoid()).exp()
            rate = (t["a0"].flatten() + m["a"] @ t["a1"] @ t["a2"]).sigmoid()
            if first is None:
                first = v
            else:
                share = (t["v0"].flatten() + m["v"] @ t["v1"] @ t["v2"]).sigmoid()
                v = v + (first - v) * share
            removed, k = k * t["k_k"].flatten(), k * (1 + (rate - 1) * t["k_a"].flatten())
            out = torch.zeros(heads, size).double()
            for h in range(heads):
                of = slice(h * size, (h + 1) * size)
                unit = removed[of] / removed[of].norm()
                s = states[layer, h]
                turned = torch.diag(decay[of]) - torch.outer(unit, rate[of] * unit)
                s = states[layer, h] = s @ turned + torch.outer(v[of], k[of])
                out[h] = s @ r[of]
                if "ln_x.weight" in t:
                    off = out[h] - out[h].mean()
                    out[h] = off / (off.square().mean() + 64e-5).sqrt()
                    out[h] = out[h] * t["ln_x.weight"][of] + t["ln_x.bias"][of]
                out[h] += (r[of] * k[of] * t["r_k"][h]).sum() * v[of]
            mixed = out.flatten()
            if "g1" in t:
                mixed = mixed * ((m["g"] @ t["g1"]).sigmoid() @ t["g2"])
            x = x + t["output.weight"] @ mixed
            now = norm(x, f"{block}ln2")
            if "gate.weight" in ffn:
                wide = F.silu(ffn["gate.weight"] @ now) * (ffn["up.weight"] @ now)
                x = x + ffn["down.weight"] @ wide
            else:
                k = ffn["key.weight"] @ (now + (last[layer][1] - now) * ffn["x_k"].flatten())
                last[layer][1] = now
                x = x + ffn["value.weight"] @ k.relu().square()
        rows.append(z["head.weight"] @ norm(x, "ln_out"))
    return torch.stack(rows)


def config(sizes: dict[str, Any]) -> dict[str, Any]:
    """config.json in flash-linear-attention's words."""
    ranks = dict(zip(("decay", "a", "v", "gate"), sizes["ranks"], strict=True))
    return {
        "architectures": ["RWKV7ForCausalLM"],
        "model_type": "rwkv7",
        "vocab_size": sizes["vocab"],
        "hidden_size": sizes["hidden"],
        "intermediate_size": sizes["wide"],
        "num_hidden_layers": sizes["layers"],
        "head_dim": sizes["head"],
        # it multiplies it by the size of a head, the makers always have 64
        "norm_eps": 1e-5,
        "group_norm_eps": 64e-5,
        "hidden_act": "sqrelu",
        "norm_first": True,
        "norm_bias": True,
        "attn": None,
        **{f"{name}_low_rank_dim": rank for name, rank in ranks.items()},
    }


FLA = {
    "emb.": "model.embeddings.", "head.": "lm_head.", "ln_out.": "model.norm.",
    "blocks.": "model.layers.", ".ln0.": ".pre_norm.", ".ln1.": ".attn_norm.",
    ".ln2.": ".ffn_norm.", ".att.": ".attn.", ".ln_x.": ".g_norm.",
    ".attn.receptance.": ".attn.r_proj.", ".attn.key.": ".attn.k_proj.",
    ".attn.value.": ".attn.v_proj.", ".attn.output.": ".attn.o_proj.",
}  # fmt: skip
"""What flash-linear-attention calls them."""


CONVERTED = {
    "emb.": "model.embeddings.", "head.": "lm_head.", "ln_out.": "model.ln_out.",
    "blocks.": "model.layers.", ".ln0.": ".pre_norm.", ".att.": ".attention.",
    ".ln1.": ".input_layernorm.", ".ln2.": ".post_attention_layernorm.",
    ".ffn.gate.": ".mlp.gate_proj.", ".ffn.up.": ".mlp.up_proj.", ".ffn.down.": ".mlp.down_proj.",
    ".ffn.": ".feed_forward.",
}  # fmt: skip
"""What llama.cpp's converter calls them before its table."""


def as_fla(tensors: Tensors) -> Tensors:
    found = {}
    for name, data in tensors.items():
        for theirs, other in FLA.items():
            name = name.replace(theirs, other)
        parent, _, last = name.rpartition(".")
        if last in ("w0", "a0", "v0"):
            name, data = f"{parent}.{last[0]}_lora.lora.2.bias", data.flatten()
        elif last[-1:] in ("1", "2"):
            place = {"1": 0, "2": 2}[last[1]]
            name, data = f"{parent}.{last[0]}_lora.lora.{place}.weight", data.T
        elif last in ("k_k", "k_a") or name.endswith("ffn.x_k"):
            data = data.flatten()
        found[name] = data.contiguous()
    return found


def write_folder(folder: Path, tensors: Tensors, sizes: dict[str, Any], **more: Any) -> Path:
    save_file({n: d.contiguous() for n, d in tensors.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({**config(sizes), **more}))
    return folder


def write_gguf(
    path: Path, tensors: Tensors, sizes: dict[str, Any], kind: Type = Type.F32,
    vocabulary: list[str] | None = None,
) -> Tensors:  # fmt: skip
    """A file as llama.cpp's converter writes it, with large matrices drawn in `kind` -> the tensors
    that it has then, in the makers' names. vocabulary: the texts of a "rwkv" tokenizer."""
    qwen = "blocks.0.ffn.gate.weight" in tensors
    arch, layers = gguf.MODEL_ARCH.ARWKV7 if qwen else gguf.MODEL_ARCH.RWKV7, sizes["layers"]
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[arch])
    writer.add_context_length(1048576)
    writer.add_embedding_length(sizes["hidden"])
    writer.add_block_count(layers)
    writer.add_vocab_size(sizes["vocab"])
    (writer.add_layer_norm_rms_eps if qwen else writer.add_layer_norm_eps)(1e-5)
    writer.add_wkv_head_size(sizes["head"])
    for add, rank in zip(
        (writer.add_decay_lora_rank, writer.add_iclr_lora_rank,
         writer.add_value_residual_mix_lora_rank, writer.add_gate_lora_rank),
        sizes["ranks"], strict=True,
    ):  # fmt: skip
        add(rank)
    writer.add_feed_forward_length(sizes["wide"])
    writer.add_head_count(0)
    if qwen:
        writer.add_token_shift_count(1)
    if vocabulary is None:
        writer.add_tokenizer_model("none")
    else:
        writer.add_tokenizer_model("rwkv")
        writer.add_token_list(vocabulary)
        writer.add_token_types([3, *[1] * (len(vocabulary) - 1)])
        writer.add_bos_token_id(0)
        writer.add_eos_token_id(0)
    names = gguf.get_tensor_name_map(arch, layers)
    chance, drawn = np.random.default_rng(4), dict(tensors)
    for name, data in tensors.items():
        parent, _, last = name.rpartition(".")
        if ".att.x_" in name:
            continue
        array = np.ascontiguousarray(data.squeeze().numpy())
        matrix = name.endswith(".weight") and array.ndim == 2
        if matrix:
            blocks = random_blocks(array.shape, kind, chance)
            numbers = gguf.quants.dequantize(blocks, kind).reshape(array.shape)
            drawn[name], array = torch.from_numpy(np.array(numbers)), blocks
        if last[-1:] in ("1", "2"):
            array = np.ascontiguousarray(array.T)
        elif last == "r_k":
            array = array.flatten()
        mine = _gguf_name(name, names)
        writer.add_tensor(mine, array, raw_dtype=kind if matrix else None)
        if parent.startswith("blocks.0") and last in ("a0", "a1", "a2"):
            writer.add_tensor(mine.replace("mix_a", "mix_v"), array)  # llama.cpp wants some there
    for layer in range(layers):
        mixes = [tensors[n] for n in (f"blocks.{layer}.att.x_{m}" for m in "rwkvag")
                 if n in tensors]  # fmt: skip
        writer.add_tensor(f"blk.{layer}.time_mix_lerp_fused.weight", torch.stack(mixes).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return drawn


def _gguf_name(name: str, names: Any) -> str:
    """By the `gguf` package's own table."""
    theirs = name
    for own, other in CONVERTED.items():
        theirs = theirs.replace(own, other)
    found = names.get_name(theirs, try_suffixes=(".weight", ".bias"))
    assert found is not None, theirs
    return found if found.endswith((".weight", ".bias")) else f"{found}.weight"


def main(python: str) -> None:
    cases = {
        "three-heads": (THREE, False),
        "packed": (PACKED, False),
        "qwen": (PACKED, True),
        "qwen-no-gate": ({**PACKED, "ranks": (64, 64, 32, 0)}, True),
    }
    tokens = torch.randint(0, 90, (30,), generator=torch.Generator().manual_seed(2)).tolist()
    print("| configuration | llama.cpp from the formula |\n|---|---|")
    for name, (change, qwen) in cases.items():
        sizes = {**SIZES, **change}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.gguf"
            drawn = write_gguf(path, random_tensors(sizes, qwen=qwen), sizes)
            try:
                (theirs,), _ = llama_cpp_logits(path, [tokens], python=python, timeout=120)
            except NoReference as error:
                print(f"| {name} | {error} |")
                continue
            right = formula(drawn, tokens)
            print(f"| {name} | {float((theirs - right).abs().max() / right.abs().max()):.1e} |")


if __name__ == "__main__":
    main(sys.argv[1])
