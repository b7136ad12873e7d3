"""What every form of adapters must do: be read as what its sample says, or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tramontane import reference
from tramontane.adapters.adapter import Adapter, Applied
from tramontane.adapters.fit import fit_adapter
from tramontane.adapters.fit_mixture import fit_mixture
from tramontane.adapters.host import Host
from tramontane.adapters.mixture import Mixture
from tramontane.adapters.prompted import PromptAdapter, Watch, plain_bind
from tramontane.adapters.stored import StoredAdapter
from tramontane.adapters.stored_mixture import MixtureOptions, StoredMixture
from tramontane.blocks import Linear
from tramontane.config import DecoderConfig
from tramontane.errors import CheckpointError
from tramontane.plugin import AdapterForm, load
from tramontane.registry import Registry
from tramontane.testing.random_model import random_model
from tramontane.testing.tiny_model import TINY

CHANGED = ("model.layers.0.self_attn.q_proj", "model.layers.1.mlp.down_proj")


@pytest.fixture
def sample(offer: AdapterForm, tmp_path: Path) -> Path:
    """An adapter of two matrices of a tiny model."""
    assert offer.sample is not None, "sample= must name what writes a tiny adapter"
    model = random_model(TINY)
    shapes = {f"{path}.weight": tuple(_linear(model, path).weight.shape) for path in CHANGED}
    written: Path = load(offer.sample)(tmp_path, shapes)
    return written


def _linear(model: torch.nn.Module, path: str) -> Linear:
    module = model.get_submodule(path)
    assert isinstance(module, Linear)
    return module


def test_the_sample_changes_what_it_names_and_nothing_else(
    offer: AdapterForm, sample: Path
) -> None:
    if offer.read is None:
        pytest.skip("each prompt decides what it changes")
    stored = load(offer.read)(sample)
    if isinstance(stored, StoredMixture):
        _check_mixture(stored, sample)
        return
    assert isinstance(stored, StoredAdapter), f"read= returned {type(stored).__name__}"
    model = random_model(TINY)
    adapter = fit_adapter(stored, model, [], name="sample", source=str(sample))
    assert set(adapter.deltas) == set(CHANGED)
    kernels = {path: _linear(model, path).kernel for path in CHANGED}
    applied = Applied(model, kernels, [(adapter, 1.0)], reference.linear)
    for path in CHANGED:
        module = _linear(model, path)
        x = torch.randn(3, module.weight.shape[1], generator=torch.Generator().manual_seed(0))
        before = module(x)
        with applied.on():
            changed = module(x)
        assert not torch.allclose(changed, before), f"the sample adds nothing to {path}"
        ((_, delta),) = adapter.deltas[path]
        expected = before + x @ delta.matrix.decode().T
        torch.testing.assert_close(changed, expected, rtol=1e-4, atol=1e-3)
        assert torch.equal(module(x), before)


def _check_mixture(stored: StoredMixture, sample: Path) -> None:
    model = random_model(TINY)
    kernels = {
        path: module.kernel for path, module in model.named_modules() if hasattr(module, "kernel")
    }

    def fitted() -> Mixture:
        return fit_mixture(
            stored, model, lambda dialect: [], kernels, reference.linear,
            architecture=TINY.name, hidden=TINY.example["hidden_size"], name="sample",
            source=str(sample), options=MixtureOptions(),
        )  # fmt: skip

    made = fitted()
    assert made.mixed is not None
    assert set(made.mixed) == set(CHANGED)
    assert made.digest == fitted().digest
    count, generator = len(stored.adapters), torch.Generator().manual_seed(0)
    shares = torch.rand(3, stored.classifier.layers, count, generator=generator)
    batch: Any = SimpleNamespace(shares=((0, shares),), numbers=SimpleNamespace(wanted=[0, 1, 2]))
    hidden = torch.randn(3, stored.classifier.hidden, generator=generator)
    assert made.shares(hidden).shape == shares.shape
    for path in CHANGED:
        module = _linear(model, path)
        x = torch.randn(3, module.weight.shape[1], generator=generator)
        before = expected = module(x)
        for matrix, layer, adapter in made.mixed[path]:
            expected = expected + shares[:, layer, adapter, None] * (x @ matrix.decode().T)
        with made.on(batch):
            changed = module(x)
        assert not torch.allclose(changed, before), f"the sample adds nothing to {path}"
        torch.testing.assert_close(changed, expected, rtol=1e-4, atol=1e-3)
        assert torch.equal(module(x), before)


@pytest.mark.parametrize("change", [lambda data: data[: len(data) // 2], lambda data: b""])
def test_damaged_files_are_refused(
    offer: AdapterForm, sample: Path, change: Callable[[bytes], bytes]
) -> None:
    files = [sample] if sample.is_file() else sorted(p for p in sample.rglob("*") if p.is_file())
    for file in files:
        data = file.read_bytes()
        file.write_bytes(change(data))
        with pytest.raises(CheckpointError):
            _read(offer, sample)
        file.write_bytes(data)


def test_what_prompts_decide_about_is_opened(offer: AdapterForm, sample: Path) -> None:
    if offer.open is None:
        pytest.skip("it is read, not opened")
    adapter = _read(offer, sample)
    assert isinstance(adapter, PromptAdapter), f"open= returned {type(adapter).__name__}"
    assert adapter.name == "sample"
    assert adapter.digest == _read(offer, sample).digest
    request: Any = SimpleNamespace(prompt=(1, 2, 3), media=None)
    watch = adapter.watch(request)
    assert isinstance(watch, Watch)
    assert watch.digest != adapter.watch(request).digest, "a prompt's steps have no other rows"


def _read(offer: AdapterForm, sample: Path) -> Any:
    if offer.open is None:
        return load(offer.read or "")(sample)
    return load(offer.open)(sample, _host(), "sample")


def _host() -> Host:
    model = random_model(TINY)
    kernels = {
        path: module.kernel for path, module in model.named_modules() if hasattr(module, "kernel")
    }

    def fit(stored: StoredAdapter, *, name: str, source: str) -> Adapter:
        return fit_adapter(stored, model, [], name=name, source=source)

    config = DecoderConfig.model_validate(TINY.example)
    registry = Registry.from_environment()
    return Host(model, TINY, config, registry, kernels, reference.linear, plain_bind, fit)
