"""A model that does not fit as it is runs quantized, and never lies in memory as it was."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from .conftest import Install, Run
from .strangers.page import write_page
from .tiny import write_tokenizer

MB = 1_000_000
ROOM = 230 * MB
"""Bytes that the process may take beside what it has before it loads, and the file's mapping."""
CHILD = """
import json, resource, sys
import psutil, torch
from tramontane.cli.main import main
import tramontane.llm
limit = psutil.Process().memory_info().data + int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def installed(install: Install, tmp_path_factory: pytest.TempPathFactory) -> Path:
    page = tmp_path_factory.mktemp("page")
    write_page("writing-a-quantizer", page)
    return install(page / "mlx")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of bfloat16 with 260 MB of weights, the largest matrix of 4 MB."""
    folder = tmp_path_factory.mktemp("large")
    vocabulary = write_tokenizer(folder)
    hidden, wide, layers = 1024, 2048, 12
    config = {
        "architectures": ["LlamaForCausalLM"], "vocab_size": vocabulary, "hidden_size": hidden,
        "intermediate_size": wide, "num_hidden_layers": layers, "num_attention_heads": 8,
        "num_key_value_heads": 8, "max_position_embeddings": 256, "torch_dtype": "bfloat16",
        "eos_token_id": vocabulary - 2,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    tile = torch.randn(wide, wide, generator=torch.Generator().manual_seed(3)).mul(0.02).bfloat16()
    shapes = {
        "model.embed_tokens.weight": (vocabulary, hidden),
        "lm_head.weight": (vocabulary, hidden),
    }
    for layer in range(layers):
        path = f"model.layers.{layer}"
        shapes |= {f"{path}.self_attn.{n}_proj.weight": (hidden, hidden) for n in "qkvo"}
        shapes |= {f"{path}.mlp.{n}_proj.weight": (wide, hidden) for n in ("gate", "up")}
        shapes[f"{path}.mlp.down_proj.weight"] = (hidden, wide)
    tensors = {name: tile[:rows, :columns].clone() for name, (rows, columns) in shapes.items()}
    for layer in range(layers):
        for name in ("input", "post_attention"):
            tensors[f"model.layers.{layer}.{name}_layernorm.weight"] = torch.ones(hidden).bfloat16()
    save_file(
        {**tensors, "model.norm.weight": torch.ones(hidden).bfloat16()},
        folder / "model.safetensors",
    )
    return folder


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of private memory are Linux's")
def test_a_model_that_does_not_fit_answers_quantized(
    large: Path, installed: Path, python: Run
) -> None:
    size = (large / "model.safetensors").stat().st_size
    assert size > 1.05 * ROOM
    options = ["-i", "a", "-n", "2", "-v", "--device", "reference", "--num-ctx", "64", "-t", "2"]
    line = ("-c", CHILD, str(size + ROOM), "run", str(large), *options)
    done = python(*line, path=installed)
    assert done.returncode == 1, done.stderr
    assert "are free on reference; use a smaller quantization" in done.stderr
    done = python(*line, "--force", "--no-mmap", path=installed)
    assert done.returncode != 0, "the limit does not hold"
    done = python(*line, "--isq", "acme_mlx4", path=installed)
    assert done.returncode == 0, done.stderr
    assert "quantized to acme_mlx4: 2 x acme_mlx6, 84 x acme_mlx4, 71.2 MB" in done.stderr
    assert "answer 2 tokens" in done.stderr
