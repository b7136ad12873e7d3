"""The tables of docs/quantizing.md: what each quantizer makes, and what numbers of bits mean."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from tramontane.checkpoint.fast_load import place_of
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.plugin import Quantizer
from tramontane.quantizing.choose_kind import NUMBERS, kernels_of, of_bits, promoted
from tramontane.quantizing.kinds import installed_kinds
from tramontane.registry import Registry, known
from tramontane.system.devices import choose_device

PAGE = Path(__file__).parents[1] / "docs" / "quantizing.md"
ALONE = ["tramontane-core", "tramontane-quant-gguf"]


def rows(heading: str) -> list[list[str]]:
    """The cells of the table whose first cell has a text."""
    text = PAGE.read_text("utf-8")
    table = text[text.index(f"| {heading} |") :].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def test_what_each_distribution_makes() -> None:
    registry = Registry()
    offers: dict[str, list[Quantizer]] = {}
    for name, distribution in known("quantizers").items():
        offers.setdefault(distribution, []).append(registry.get(Quantizer, name))
    found = {}
    for cell, _, kinds, writes in rows("distribution"):
        found[cell.strip("`")] = (set(re.findall(r"`(.+?)`", kinds)), writes)
    assert found.keys() == offers.keys()
    for distribution, (kinds, writes) in found.items():
        made = {kind for offer in offers[distribution] for kind in offer.kinds}
        folder = any(offer.settings for offer in offers[distribution])
        container = any(offer.write for offer in offers[distribution])
        assert kinds == made, distribution
        assert writes.startswith("a folder") == folder, distribution
        assert writes.startswith("a GGUF file") == container, distribution


def test_what_numbers_of_bits_mean() -> None:
    device, backend = choose_device("cpu", Registry())
    runs = kernels_of(place_of(backend, device, LoadOptions(), torch.float32).pack)
    ours = ["tramontane-core", *sorted(set(known("quantizers").values()))]
    expected = []
    for bits in NUMBERS:
        row = [str(bits)]
        for only in (ALONE, ours):
            kinds = installed_kinds(Registry(only)).values()
            kind = of_bits(bits, kinds, runs)
            assert kind is not None
            row += [f"`{each.name}`" for each in (kind, promoted(kind, kinds, runs))]
        expected.append(row)
    lines = "\n".join(f"| {' | '.join(row)} |" for row in expected)
    if "avx512f" not in device.features and rows("`--isq`") != expected:
        pytest.skip(f"the table is for a processor with AVX-512; here it is\n{lines}")
    assert rows("`--isq`") == expected, f"docs/quantizing.md should have:\n{lines}"
