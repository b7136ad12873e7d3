"""An X-LoRA of random numbers over a transformers model, as files and as plain torch: what peft
computes, by hooks on the model's own layers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

RANK = 3
Known = Callable[[str], bool]


@dataclass
class Reference:
    """folder: with the files. layers: names of modules, in the order that peft meets them in."""

    folder: Path
    layers: list[str]
    pairs: list[dict[str, tuple[Tensor, Tensor]]]
    classifier: nn.Sequential
    config: dict[str, Any]

    @torch.inference_mode()
    def logits(self, model: Any, tokens: Sequence[int], frozen: int | None = None) -> Tensor:
        """(length, vocabulary). frozen: whose scalings all later tokens have."""
        ids = torch.tensor([list(tokens)])
        settings = self.config
        count = len(self.pairs)
        value = settings.get("scaling_pass_value", 0.0)
        given = torch.full((len(tokens), len(self.layers), count), float(value))
        with self._on(model, self._kept(given)):
            found = model(ids, use_cache=False, output_hidden_states=True).hidden_states[-1][0]
        scores = self.classifier(found)
        if not settings.get("layerwise_scalings"):
            scores = scores[:, None].expand(-1, len(self.layers), -1)
        scores = scores.reshape(len(tokens), len(self.layers), count)
        if settings.get("enable_softmax", True):
            scores = (scores / settings.get("softmax_temperature", 1.0)).softmax(-1)
        if frozen is not None:
            scores = scores.clone()
            scores[frozen + 1 :] = scores[frozen]
        with self._on(model, self._kept(scores)):
            out: Tensor = model(ids, use_cache=False).logits[0]
        return out

    def _kept(self, scores: Tensor) -> Tensor:
        if (top := self.config.get("top_k_lora")) is None:
            return scores
        kept = scores.topk(top, -1).indices
        return torch.zeros_like(scores).scatter(-1, kept, scores.gather(-1, kept))

    @contextmanager
    def _on(self, model: nn.Module, shares: Tensor) -> Iterator[None]:
        weight = self.config.get("global_scaling_weight", 1.0)

        def adding(layer: int, name: str) -> Any:
            def hook(module: nn.Module, given: Any, out: Tensor) -> Tensor:
                rows = given[0].reshape(-1, given[0].shape[-1])
                more = torch.zeros(len(rows), out.shape[-1])
                for index, pairs in enumerate(self.pairs):
                    if name in pairs:
                        a, b = pairs[name]
                        more += (rows * shares[:, layer, index, None]) @ a.T @ b.T * (2 * weight)
                return out + more.view_as(out)

            return hook

        hooks = [
            model.get_submodule(name).register_forward_hook(adding(layer, name))
            for layer, name in enumerate(self.layers)
        ]
        try:
            yield
        finally:
            for each in hooks:
                each.remove()


def make(
    model: nn.Module,
    folder: Path,
    known: Known = lambda name: True,
    *,
    adapters: int = 3,
    size: float = 0.15,
    **config: Any,
) -> Reference:
    """An X-LoRA of all linear layers that are `known` by their names; the last adapter has every
    second of them only."""
    layers = [
        name
        for name, module in model.named_modules()
        if isinstance(module, (nn.Linear, Conv1D)) and name != "lm_head" and known(name)
    ]
    generator = torch.Generator().manual_seed(11)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator) * size

    pairs: list[dict[str, tuple[Tensor, Tensor]]] = []
    names = [f"adapter_{index + 1}" for index in range(adapters)]
    for index, name in enumerate(names):
        mine = layers[:: 2 if index == adapters - 1 else 1]
        pairs.append({each: _pair(model.get_submodule(each), drawn) for each in mine})
        write_adapter(folder / name, pairs[-1])
    hidden = int(model.config.get_text_config().hidden_size)  # type: ignore[union-attr,operator]
    rows = adapters * (len(layers) if config.get("layerwise_scalings") else 1)
    depth, inner = config.setdefault("xlora_depth", 1), 8
    widths = [hidden, *[inner] * (depth - 1)]
    parts: list[nn.Module] = []
    for place, width in enumerate(widths):
        last = place == depth - 1
        linear = nn.Linear(width, rows if last else inner)
        linear.weight.data, linear.bias.data = (
            drawn(*linear.weight.shape) * 4,
            drawn(len(linear.bias)),
        )
        parts += [linear] if last else [linear, nn.ReLU(), nn.Dropout(0.2)]
    classifier = nn.Sequential(*parts).eval().requires_grad_(False)
    settings = {
        "peft_type": "XLORA", "hidden_size": hidden, "xlora_size": inner,
        "adapters": {name: f"/elsewhere/{name}" for name in names}, **config,
    }  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    named = {f"layers.{name}": tensor for name, tensor in classifier.state_dict().items()}
    save_file(
        {f"base_model.internal_xlora_classifier.{name}": each for name, each in named.items()},
        folder / "xlora_classifier.safetensors",
    )
    return Reference(folder, layers, pairs, classifier, config)


def _pair(module: Any, drawn: Callable[..., Tensor]) -> tuple[Tensor, Tensor]:
    rows, columns = module.weight.shape
    if isinstance(module, Conv1D):
        rows, columns = columns, rows
    return drawn(RANK, columns), drawn(rows, RANK)


def write_adapter(folder: Path, pairs: dict[str, tuple[Tensor, Tensor]]) -> None:
    """One of its adapters, whose scale is 2."""
    folder.mkdir(parents=True)
    tensors = {}
    for name, (a, b) in pairs.items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = a
        tensors[f"base_model.model.{name}.lora_B.weight"] = b
    save_file(tensors, folder / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "r": RANK, "lora_alpha": 2 * RANK}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
