"""The names of mistral.rs's Python wheel, over Tramontane's engine."""

from __future__ import annotations

from .agent import (
    AgenticToolCallRecord,
    AgentToolApproval,
    AgentToolApprovalDecision,
    AgentToolMetadata,
    ApproximateUserLocation,
    CodeExecutionConfig,
    File,
    FileSource,
    InputFile,
    RequestedFile,
    SandboxPolicy,
    ShellConfig,
    ShellSkillMount,
    WebSearchOptions,
    WebSearchUserLocation,
)
from .kinds import (
    AgentPermission,
    AgentToolApprovalDecisionKind,
    AgentToolKind,
    AgentToolSource,
    Architecture,
    CodeExecutionPermission,
    DiffusionArchitecture,
    EmbeddingArchitecture,
    ImageGenerationResponseFormat,
    IsqOrganization,
    ModelDType,
    MultimodalArchitecture,
    NetworkMode,
    PagedCacheType,
    SearchContextSize,
    SpeechLoaderType,
    ToolCallType,
    ToolChoice,
    VisionArchitecture,
)
from .requests import (
    AnyMoeConfig,
    AnyMoeExpertType,
    ChatCompletionRequest,
    CompletionRequest,
    EmbeddingRequest,
)
from .responses import (
    CalibrationStatus,
    CalledFunction,
    ChatCompletionChunkResponse,
    ChatCompletionResponse,
    Choice,
    ChunkChoice,
    CompletionChoice,
    CompletionResponse,
    Delta,
    ImageChoice,
    ImageGenerationResponse,
    Logprobs,
    LoraAdapterError,
    LoraAdapterGeneration,
    LoraAdapterInfo,
    LoraResidentGenerationInfo,
    LoraRuntimeStatus,
    ResponseLogprob,
    ResponseMessage,
    SpeechGenerationResponse,
    ToolCallResponse,
    TopLogprob,
    Usage,
)
from .runner import Runner
from .settings import (
    LoraAdapter,
    McpClientConfigPy,
    McpServerConfigPy,
    McpServerSourcePy,
    Which,
)

__all__ = [name for name in dir() if name[0].isupper()]
