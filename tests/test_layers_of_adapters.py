"""An adapter of a layer changes that layer alone, as peft's do: a module of transformers' model
with two matrices beside it. Families whose layers share blocks, or keys and values, or are of
several kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from tramontane import LLM, SamplingParams
from tramontane.engine.request import Request
from tramontane.errors import AdapterError

from .parity import reference
from .test_adapters import written

PROMPT = tuple((7 * i + 3) % 60 for i in range(20))
RANK = 4
CASES = [("gemma3n", "shared"), ("zamba2", "adapters"), ("kimi-linear", "mixed")]
REFUSED = {
    "model.layers.1.shared_transformer.self_attn.q_proj": "layers share it (model.layers.1",
    "model.layers.4.shared_transformer.self_attn.q_proj": "layers share it (model.layers.1",
    "model.layers.4.shared_transformer.feed_forward.gate_up_proj": "layers share it",
    "model.layers.1.shared_transformer.self_attn.linear_q_adapter_list.2.0": "layer 4",
    "model.layers.1.self_attn.kv_b_proj": "kept in another form",
}


def matrices(model: nn.Module) -> dict[str, nn.Linear]:
    modules = model.named_modules(remove_duplicate=False)
    return {n: m for n, m in modules if isinstance(m, nn.Linear) and ".layers." in n}


def drawn(names: dict[str, nn.Linear], seed: int) -> dict[str, Tensor]:
    """An adapter's tensors as peft's files have them."""
    torch.manual_seed(seed)
    found = {}
    for name, module in names.items():
        rows, columns = module.weight.shape
        found[f"base_model.model.{name}.lora_A.weight"] = torch.randn(RANK, columns) / 8
        found[f"base_model.model.{name}.lora_B.weight"] = torch.randn(rows, RANK) / 8
    return found


def with_adapter(model: Any, names: dict[str, nn.Linear], tensors: dict[str, Tensor]) -> Any:
    """transformers' logits with 2 * x A^T B^T added to what each of the modules gives."""

    def beside(name: str) -> Any:
        a, b = (tensors[f"base_model.model.{name}.lora_{part}.weight"] for part in "AB")
        return lambda module, given, out: out + 2 * (given[0] @ a.T @ b.T)

    hooks = [module.register_forward_hook(beside(name)) for name, module in names.items()]
    with torch.no_grad():
        found = model(input_ids=torch.tensor([PROMPT]), use_cache=False).logits[0].numpy().copy()
    for hook in hooks:
        hook.remove()
    return found


def supported(name: str) -> bool:
    """Neither shared by layers, nor unused in this one, as the small matrices of other turns."""
    alone = ".layers.3." in name or "shared_transformer" not in name or "adapter_list" in name
    turn = {"1": "0", "3": "1", "4": "2"}
    used = "adapter_list" not in name or f"list.{turn[name.split('.')[2]]}." in name
    return alone and used and ".layers.4.shared" not in name and "kv_b_proj" not in name


@pytest.mark.parametrize(("family", "variant"), CASES)
def test_each_layer_alone(family: str, variant: str, tmp_path: Path) -> None:
    model = reference.make(family, variant, tmp_path / "model").eval()
    every = matrices(model)
    plain = with_adapter(model, {}, {})
    with LLM(
        tmp_path / "model", device="reference", dtype="f32", activations="f32", kv_type="f32"
    ) as llm:
        for layer in range(model.config.num_hidden_layers):
            of = {n: m for n, m in every.items() if f".layers.{layer}." in n and supported(n)}
            assert of
            tensors = drawn(of, layer)
            llm.load_adapter(f"a{layer}", written(tmp_path / f"a{layer}", tensors))
            params = SamplingParams(max_tokens=0, temperature=0, adapter=f"a{layer}")
            asked = Request(
                prompt=PROMPT, prompt_logits=True, params=params,
                adapters=llm.inner.applied(f"a{layer}", None),
            )  # fmt: skip
            (found,) = llm._results([asked])
            assert found.error is None
            expected = with_adapter(model, of, tensors)
            assert np.abs(expected - plain).max() > 0.1
            assert np.abs(found.prompt_logits - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize(("family", "variant"), CASES[1:])
def test_what_cannot_be_changed_alone_is_refused(family: str, variant: str, tmp_path: Path) -> None:
    every = matrices(reference.make(family, variant, tmp_path / "model"))
    refused = {name: said for name, said in REFUSED.items() if name in every}
    assert refused
    with LLM(tmp_path / "model", device="reference") as llm:
        for place, (name, said) in enumerate(refused.items()):
            folder = written(tmp_path / str(place), drawn({name: every[name]}, 0))
            with pytest.raises(AdapterError) as error:
                llm.load_adapter("a", folder)
            assert said in str(error.value)
            assert "leave it out of target_modules" in str(error.value)
