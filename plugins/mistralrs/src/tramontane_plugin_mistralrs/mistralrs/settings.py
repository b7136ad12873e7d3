"""What says which model it is, and how it is set up: `Which` and what goes beside it."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

from .kinds import ModelDType, SpeechLoaderType

GIB8 = 8 << 30


@dataclass
class LoraAdapter:
    """An adapter that requests choose by its alias."""

    alias: str
    source: str
    revision: str | None = None


@dataclass
class _Plain:
    model_id: str
    arch: Any = None
    tokenizer_json: str | None = None
    topology: str | None = None
    organization: Any = None
    write_uqff: str | None = None
    from_uqff: str | list[str] | None = None
    dtype: ModelDType = ModelDType.Auto
    imatrix: str | None = None
    calibration_file: str | None = None
    hf_cache_path: str | None = None
    matformer_config_path: str | None = None
    matformer_slice_name: str | None = None


@dataclass
class _Embedding:
    model_id: str
    arch: Any = None
    tokenizer_json: str | None = None
    topology: str | None = None
    write_uqff: str | None = None
    from_uqff: str | list[str] | None = None
    dtype: ModelDType = ModelDType.Auto
    hf_cache_path: str | None = None
    imatrix: str | None = None
    calibration_file: str | None = None


@dataclass
class _XLora:
    xlora_model_id: str
    order: str
    arch: Any = None
    model_id: str | None = None
    tokenizer_json: str | None = None
    tgt_non_granular_index: int | None = None
    topology: str | None = None
    write_uqff: str | None = None
    from_uqff: str | list[str] | None = None
    dtype: ModelDType = ModelDType.Auto
    hf_cache_path: str | None = None


@dataclass
class _Lora:
    model_id: str
    adapters: list[LoraAdapter] | None = None
    arch: Any = None
    tokenizer_json: str | None = None
    topology: str | None = None
    write_uqff: str | None = None
    from_uqff: str | list[str] | None = None
    dtype: ModelDType = ModelDType.Auto
    hf_cache_path: str | None = None
    max_adapters: int = 16
    max_rank: int = 256
    max_bytes: int = GIB8


@dataclass
class _GGUF:
    quantized_model_id: str
    quantized_filename: str | list[str]
    tok_model_id: str | None = None
    topology: str | None = None
    dtype: ModelDType = ModelDType.Auto
    _: KW_ONLY
    tokenizer_json: str | None = None
    mmproj_filename: str | list[str] | None = None
    organization: Any = None
    write_uqff: str | None = None
    imatrix: str | None = None
    calibration_file: str | None = None
    max_edge: int | None = None
    adapters: list[LoraAdapter] | None = None
    max_adapters: int = 16
    max_rank: int = 256
    max_bytes: int = GIB8
    hf_cache_path: str | None = None
    matformer_config_path: str | None = None
    matformer_slice_name: str | None = None
    encoder_cache_memory_bytes: int | None = None


@dataclass
class _XLoraGGUF:
    quantized_model_id: str
    quantized_filename: str | list[str]
    xlora_model_id: str
    order: str
    tok_model_id: str | None = None
    tgt_non_granular_index: int | None = None
    topology: str | None = None
    dtype: ModelDType = ModelDType.Auto


@dataclass
class _LoraGGUF:
    quantized_model_id: str
    quantized_filename: str | list[str]
    adapters_model_id: str
    order: str
    tok_model_id: str | None = None
    topology: str | None = None
    dtype: ModelDType = ModelDType.Auto


@dataclass
class _GGML:
    quantized_model_id: str
    quantized_filename: str
    tok_model_id: str
    tokenizer_json: str | None = None
    gqa: int = 1
    topology: str | None = None
    dtype: ModelDType = ModelDType.Auto


@dataclass
class _XLoraGGML:
    quantized_model_id: str
    quantized_filename: str
    xlora_model_id: str
    order: str
    tok_model_id: str | None = None
    tokenizer_json: str | None = None
    tgt_non_granular_index: int | None = None
    gqa: int = 1
    topology: str | None = None
    dtype: ModelDType = ModelDType.Auto


@dataclass
class _LoraGGML:
    quantized_model_id: str
    quantized_filename: str
    adapters_model_id: str
    order: str
    tok_model_id: str | None = None
    tokenizer_json: str | None = None
    gqa: int = 1
    topology: str | None = None
    dtype: ModelDType = ModelDType.Auto


@dataclass
class _MultimodalPlain:
    model_id: str
    arch: Any = None
    tokenizer_json: str | None = None
    topology: str | None = None
    write_uqff: str | None = None
    from_uqff: str | list[str] | None = None
    dtype: ModelDType = ModelDType.Auto
    max_edge: int | None = None
    calibration_file: str | None = None
    imatrix: str | None = None
    hf_cache_path: str | None = None
    matformer_config_path: str | None = None
    matformer_slice_name: str | None = None
    organization: Any = None
    encoder_cache_memory_bytes: int | None = None


@dataclass
class _DiffusionPlain:
    model_id: str
    arch: Any
    dtype: ModelDType = ModelDType.Auto


@dataclass
class _Speech:
    model_id: str
    arch: SpeechLoaderType
    dac_model_id: str | None = None
    dtype: ModelDType = ModelDType.Auto


class Which:
    """Which model it is: one of these, made by its fields."""

    Plain = _Plain
    Embedding = _Embedding
    XLora = _XLora
    Lora = _Lora
    GGUF = _GGUF
    XLoraGGUF = _XLoraGGUF
    LoraGGUF = _LoraGGUF
    GGML = _GGML
    XLoraGGML = _XLoraGGML
    LoraGGML = _LoraGGML
    MultimodalPlain = _MultimodalPlain
    VisionPlain = _MultimodalPlain
    DiffusionPlain = _DiffusionPlain
    Speech = _Speech


@dataclass
class _Source:
    """How an MCP server is reached."""

    type: str
    fields: dict[str, Any]


class McpServerSourcePy:
    """Kinds of MCP servers."""

    @staticmethod
    def Http(
        url: str, timeout_secs: int | None = None, headers: dict[str, str] | None = None
    ) -> _Source:
        """One at an address."""
        return _Source("Http", {"url": url, "timeout_secs": timeout_secs, "headers": headers})

    @staticmethod
    def Process(
        command: str,
        args: list[str] | None = None,
        work_dir: str | None = None,
        env: dict[str, str] | None = None,
    ) -> _Source:
        """One that is started here."""
        return _Source(
            "Process", {"command": command, "args": args, "work_dir": work_dir, "env": env}
        )

    @staticmethod
    def WebSocket(
        url: str, timeout_secs: int | None = None, headers: dict[str, str] | None = None
    ) -> _Source:
        """One at a web socket."""
        return _Source("WebSocket", {"url": url, "timeout_secs": timeout_secs, "headers": headers})


@dataclass
class McpServerConfigPy:
    """An MCP server. id: may be left out here."""

    id: str = ""
    name: str = ""
    source: Any = None
    enabled: bool = True
    tool_prefix: str | None = None
    resources: list[str] | None = None
    bearer_token: str | None = None


@dataclass
class McpClientConfigPy:
    """The MCP servers whose tools every chat has."""

    servers: list[McpServerConfigPy]
    auto_register_tools: bool = True
    tool_timeout_secs: int | None = None
    max_concurrent_calls: int | None = None

    def config(self) -> dict[str, Any]:
        """The same as the JSON file that `mcp=` takes."""
        servers = []
        for one in self.servers:
            told = {
                "name": one.name or one.id, "enabled": one.enabled, "tool_prefix": one.tool_prefix,
                "bearer_token": one.bearer_token, "resources": bool(one.resources) or None,
                "source": {"type": one.source.type, **_given(one.source.fields)},
            }  # fmt: skip
            servers.append(_given(told))
        return {
            "servers": servers,
            **_given(
                {
                    "auto_register_tools": self.auto_register_tools,
                    "tool_timeout_secs": self.tool_timeout_secs,
                    "max_concurrent_calls": self.max_concurrent_calls,
                }
            ),
        }


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
