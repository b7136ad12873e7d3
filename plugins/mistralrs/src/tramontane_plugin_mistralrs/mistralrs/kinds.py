"""The wheel's enumerations."""

from __future__ import annotations

from enum import Enum


class Architecture(Enum):
    """Text models."""

    Mistral = "mistral"
    Gemma = "gemma"
    Mixtral = "mixtral"
    Llama = "llama"
    Phi2 = "phi2"
    Phi3 = "phi3"
    Qwen2 = "qwen2"
    Gemma2 = "gemma2"
    Starcoder2 = "starcoder2"
    Phi3_5MoE = "phi3.5moe"
    DeepseekV2 = "deepseekv2"
    DeepseekV3 = "deepseekv3"
    Qwen3 = "qwen3"
    GLM4 = "glm4"
    GLM4Moe = "glm4moe"
    GLM4MoeLite = "glm4moelite"
    Qwen3Moe = "qwen3moe"
    SmolLm3 = "smollm3"
    GraniteMoeHybrid = "granitemoehybrid"
    GptOss = "gptoss"
    HunYuanDenseV1 = "hunyuanv1dense"
    HunYuanMoEV1 = "hunyuanv1moe"
    Qwen3Next = "qwen3next"
    Lfm2 = "lfm2"
    Lfm2Moe = "lfm2_moe"


class MultimodalArchitecture(Enum):
    """Models that see or hear."""

    Phi3V = "phi3v"
    Idefics2 = "idefics2"
    LLaVANext = "llava-next"
    LLaVA = "llava"
    Lfm2Vl = "lfm2vl"
    VLlama = "vllama"
    Qwen2VL = "qwen2vl"
    Idefics3 = "idefics3"
    MiniCpmO = "minicpmo"
    Phi4MM = "phi4mm"
    Qwen2_5VL = "qwen2_5vl"
    Gemma3 = "gemma3"
    Mistral3 = "mistral3"
    Llama4 = "llama4"
    Gemma3n = "gemma3n"
    Qwen3VL = "qwen3vl"
    Qwen3VLMoE = "qwen3vlmoe"
    Qwen3_5 = "qwen3_5"
    Qwen3_5Moe = "qwen3_5moe"
    Qwen4Exp = "qwen4exp"
    Voxtral = "voxtral"
    Gemma4 = "gemma4"
    MuseGlimmer = "muse_glimmer"
    DiffusionGemma = "diffusiongemma"


VisionArchitecture = MultimodalArchitecture
"""Its name before 0.7."""


class EmbeddingArchitecture(Enum):
    """Models of vectors."""

    EmbeddingGemma = "embeddinggemma"
    Qwen3Embedding = "qwen3embedding"


class DiffusionArchitecture(Enum):
    """Models that make images."""

    Flux = "flux"
    FluxOffloaded = "flux-offloaded"


class SpeechLoaderType(Enum):
    """Models that speak."""

    Dia = "dia"


class IsqOrganization(Enum):
    """Which weights are quantized."""

    Default = "default"
    MoQE = "moqe"


class ModelDType(Enum):
    """Types of activations."""

    Auto = "auto"
    BF16 = "bf16"
    F16 = "f16"
    F32 = "f32"


class PagedCacheType(Enum):
    """Types of keys and values."""

    Auto = "auto"
    F8E4M3 = "f8e4m3"


class ImageGenerationResponseFormat(Enum):
    """How an image comes."""

    Url = "Url"
    B64Json = "B64Json"


class ToolChoice(Enum):
    """Whether tools may be called. The last is an addition of this module."""

    NoTools = "none"
    Auto = "auto"
    Required = "required"


class ToolCallType(Enum):
    """What a call is of."""

    Function = "function"


class SearchContextSize(Enum):
    """How much of what is found is read."""

    Low = "low"
    Medium = "medium"
    High = "high"


class AgentPermission(Enum):
    """Whether tools run unasked."""

    Auto = "auto"
    Ask = "ask"
    Deny = "deny"


class CodeExecutionPermission(Enum):
    """The same for code."""

    Auto = "auto"
    Ask = "ask"
    Deny = "deny"


class NetworkMode(Enum):
    """What a sandbox reaches."""

    NoNetwork = "none"
    Loopback = "loopback"
    Full = "full"


class AgentToolSource(Enum):
    """Where a tool comes from."""

    BuiltIn = "built_in"
    User = "user"
    Mcp = "mcp"
    External = "external"


class AgentToolKind(Enum):
    """What a tool does."""

    CodeExecution = "code_execution"
    WebSearch = "web_search"
    Shell = "shell"
    File = "file"
    Custom = "custom"
    External = "external"


class AgentToolApprovalDecisionKind(Enum):
    """What was decided."""

    Approve = "approve"
    Deny = "deny"
