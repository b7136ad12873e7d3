"""Tramontane runs language models, and models of other tasks: a small core, and everything else a
plugin.

Classes and functions are imported when first asked for, so that
`import tramontane` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import TramontaneError
from .system.gc_pause import gc_paused
from .version import __version__

if TYPE_CHECKING:
    from .agent.agent import Agent
    from .async_llm import AsyncLLM
    from .llm import LLM
    from .results import Chunk, Completion
    from .sampling_params import SamplingParams
    from .tasks.embed import AsyncEmbedder, Embedder
    from .tasks.image import AsyncImageModel, ImageModel
    from .tasks.opening import load
    from .tasks.rank import AsyncReranker, Reranker
    from .tasks.speech import AsyncSpeechModel, SpeechModel
    from .tasks.transcribe import AsyncTranscriber, Transcriber
    from .verifying.result import Verification
    from .verifying.verify import verify

__all__ = [
    "LLM",
    "Agent",
    "AsyncEmbedder",
    "AsyncImageModel",
    "AsyncLLM",
    "AsyncReranker",
    "AsyncSpeechModel",
    "AsyncTranscriber",
    "Chunk",
    "Completion",
    "Embedder",
    "ImageModel",
    "Reranker",
    "SamplingParams",
    "SpeechModel",
    "TramontaneError",
    "Transcriber",
    "Verification",
    "__version__",
    "load",
    "verify",
]

_HOME = {
    "LLM": ".llm",
    "Agent": ".agent.agent",
    "AsyncLLM": ".async_llm",
    "Chunk": ".results",
    "Completion": ".results",
    "SamplingParams": ".sampling_params",
    "Embedder": ".tasks.embed",
    "AsyncEmbedder": ".tasks.embed",
    "Reranker": ".tasks.rank",
    "AsyncReranker": ".tasks.rank",
    "Transcriber": ".tasks.transcribe",
    "AsyncTranscriber": ".tasks.transcribe",
    "ImageModel": ".tasks.image",
    "AsyncImageModel": ".tasks.image",
    "SpeechModel": ".tasks.speech",
    "AsyncSpeechModel": ".tasks.speech",
    "load": ".tasks.opening",
    "Verification": ".verifying.result",
    "verify": ".verifying.verify",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with gc_paused():
        return getattr(import_module(_HOME[name], __name__), name)
