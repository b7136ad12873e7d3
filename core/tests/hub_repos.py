"""What the hub on this machine has."""

from __future__ import annotations

import json

BIG = bytes(range(256)) * 64
INDEX = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
FOLDER = {
    "config.json": b"{}", "tokenizer.json": b'{"t": 1}', "generation_config.json": b'{"g": 1}',
    "chat_template.jinja": b"-", "additional_chat_templates/tool_use.jinja": b"--",
    "README.md": b"#", "modeling_own.py": b"1/0", "onnx/model.onnx": BIG, "flax_model.msgpack": BIG,
    "original/consolidated.00.pth": BIG,
}  # fmt: skip
REPOS = {
    "org/whole": {**FOLDER, "model.safetensors": BIG, "pytorch_model.bin": BIG, "m.gguf": BIG},
    "org/sharded": {
        **FOLDER,
        "model.safetensors.index.json": json.dumps(INDEX).encode(),
        "model-1.safetensors": BIG,
        "model-2.safetensors": BIG[::-1],
        "consolidated.safetensors": BIG,
    },
    "org/old": {**FOLDER, "pytorch_model.bin": BIG},
    "org/files": {
        "config.json": b"{}", "m-Q4_0.gguf": BIG, "m-Q8_0.gguf": BIG, "sub/m-F16.gguf": BIG,
        "s-00001-of-00002.gguf": BIG, "s-00002-of-00002.gguf": BIG[::-1],
        "t-00001-of-00002.gguf": BIG,
    },
    "org/parts": {
        "README.md": b"#", "model_index.json": b"{}", "all-in-one.safetensors": BIG,
        "scheduler/scheduler_config.json": b"{}", "tokenizer/merges.txt": b"a b",
        "tokenizer_2/spiece.model": b"s", "vae/config.json": b"{}",
        "vae/diffusion_pytorch_model.safetensors": BIG, "vae/model.onnx": BIG,
        "vae/diffusion_pytorch_model.fp16.safetensors": BIG, "code/deeper/config.json": b"{}",
        "transformer/config.json": b"{}",
        "transformer/model.safetensors.index.json": json.dumps(INDEX).encode(),
        "transformer/model-1.safetensors": BIG, "transformer/model-2.safetensors": BIG[::-1],
    },
    "org/adapter": {"adapter_config.json": b"{}", "adapter_model.safetensors": BIG},
    "org/one": {"README.md": b"#", "m.gguf": BIG},
    "org/nothing": {"config.json": b"{}"},
    "org/unconfigured": {"model.safetensors": BIG},
}  # fmt: skip
