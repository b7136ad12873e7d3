"""`Runner`: a loaded model under the wheel's names."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tramontane.errors import RequestError

from . import asking
from .answering import as_stream, chat_response, completion_response, stream_of
from .loaded_adapters import LoadedAdapters
from .making import image_response, sound_response
from .models import Models
from .opening import open_model, plan_of, task_of
from .requests import ChatCompletionRequest, CompletionRequest, EmbeddingRequest
from .responses import (
    ChatCompletionChunkResponse,
    ChatCompletionResponse,
    CompletionResponse,
    ImageGenerationResponse,
    SpeechGenerationResponse,
)

REFUSED = {
    "anymoe_config": "train the mixture once: tramontane anymoe train MODEL --expert ...; then "
    'Which.Lora(..., adapters=[LoraAdapter("mixture", FOLDER)])',
    "enable_search": asking.REFUSED["web_search_options"],
    "search_embedding_model": asking.REFUSED["web_search_options"],
    "search_callback": "give the search as a tool: tool_callbacks, and its schema in tool_schemas",
    "code_execution_config": asking.REFUSED["enable_code_execution"],
    "shell_config": asking.REFUSED["enable_shell"],
    "memory_goal": "say the size of the cache: pa_gpu_mem, pa_gpu_mem_usage or pa_ctxt_len",
}
WHOLE = "matrices are measured while a model is loaded: calibration_file of Which"


class Runner(Models, LoadedAdapters):
    """A model that is loaded when this is made. Thread-safe; raises TramontaneError."""

    def __init__(
        self,
        which: Any,
        max_seqs: int = 32,
        no_kv_cache: bool = False,
        prefix_cache_n: int = 16,
        token_source: str = "cache",
        mtp_model: str | None = None,
        mtp_n_predict: int | None = None,
        chat_template: str | None = None,
        jinja_explicit: str | None = None,
        num_device_layers: list[str] | None = None,
        in_situ_quant: str | None = None,
        anymoe_config: Any = None,
        memory_goal: Any = None,
        pa_blk_size: int | None = None,
        pa_cache_type: Any = None,
        no_paged_attn: bool = False,
        paged_attn: bool = False,
        seed: int | None = None,
        enable_search: bool = False,
        search_embedding_model: Any = None,
        search_callback: Any = None,
        tool_callbacks: Mapping[str, Callable[[str, dict[str, Any]], Any]] | None = None,
        mcp_client_config: Any = None,
        code_execution_config: Any = None,
        shell_config: Any = None,
        *,
        pa_gpu_mem: int | None = None,
        pa_gpu_mem_usage: float | None = None,
        pa_ctxt_len: int | None = None,
    ) -> None:
        given = locals()
        for name, why in REFUSED.items():
            if given[name] not in (None, False):
                raise RequestError(f"{name}: {why}")
        names = (
            "max_seqs", "no_kv_cache", "prefix_cache_n", "token_source", "chat_template",
            "jinja_explicit", "num_device_layers", "in_situ_quant", "pa_blk_size", "pa_cache_type",
            "no_paged_attn", "paged_attn", "pa_gpu_mem", "pa_gpu_mem_usage", "pa_ctxt_len",
        )  # fmt: skip
        plan = plan_of(which, {name: given[name] for name in names})
        if mtp_model is not None:
            most = "" if mtp_n_predict is None else f":max={mtp_n_predict}"
            plan.models[0]["draft"] = f"{mtp_model}{most}"
        more = {} if mcp_client_config is None else {"mcp": mcp_client_config.config()}
        self._callbacks = dict(tool_callbacks or {})
        self._seeds = None if seed is None else itertools.count(seed)
        self._connected = mcp_client_config is not None
        task = task_of(which)
        Models.__init__(
            self, str(plan.models[0]["name"]), task, lambda: open_model(task, plan, more)
        )
        LoadedAdapters.__init__(self, plan.models[0].get("lora", []))

    def send_chat_completion_request(
        self, request: ChatCompletionRequest, model_id: str | None = None
    ) -> ChatCompletionResponse | Iterator[ChatCompletionChunkResponse]:
        """Answer a conversation; with `stream`, an iterator of chunks."""
        llm = self.model("text", model_id)
        params = {**asking.sampling(request), **self._seed()}
        name = self.name_for(request.model)
        if isinstance(request.messages, str):
            if request.stream:
                return stream_of(llm.generate(request.messages, stream=True, **params), name)
            return chat_response(llm.generate(request.messages, **params), name)
        options, runs = asking.chat_options(request, self._callbacks)
        if self._connected:
            options["tools"] = llm.tools(options.get("tools", ()))
        if request.stream and not (runs or self._connected):
            chunks = llm.chat(request.messages, stream=True, **options, **params)
            return stream_of(chunks, name)
        answer = chat_response(llm.chat(request.messages, **options, **params), name)
        # calls are run between answers, so what streams is the last of them, whole
        return as_stream(answer) if request.stream else answer

    def send_completion_request(
        self, request: CompletionRequest, model_id: str | None = None
    ) -> CompletionResponse:
        """Continue a text."""
        llm = self.model("text", model_id)
        if request.tool_schemas:
            raise RequestError("tool_schemas: tools are called in chats")
        params = {**asking.sampling(request), **self._seed()}
        echo = request.prompt if request.echo_prompt else ""
        name = self.name_for(request.model)
        return completion_response(llm.generate(request.prompt, **params), name, echo)

    def send_chat_completion_request_to_model(
        self, request: ChatCompletionRequest, model_id: str
    ) -> ChatCompletionResponse | Iterator[ChatCompletionChunkResponse]:
        """As `send_chat_completion_request`."""
        return self.send_chat_completion_request(request, model_id)

    def send_completion_request_to_model(
        self, request: CompletionRequest, model_id: str
    ) -> CompletionResponse:
        """As `send_completion_request`."""
        return self.send_completion_request(request, model_id)

    def send_embedding_request(
        self, request: EmbeddingRequest, model_id: str | None = None
    ) -> list[list[float]]:
        """A vector of each text, or of each list of token ids."""
        found = self.model(self.task if self.task == "embed" else "text", model_id)
        texts = request.input
        if isinstance(texts, str) or (texts and isinstance(texts[0], int)):
            texts = [texts]
        options = {"truncate": True} if request.truncate_sequence else {}
        return [[float(x) for x in row] for row in found.embed(texts, **options)]

    def generate_image(
        self,
        prompt: str,
        response_format: Any,
        height: int = 720,
        width: int = 1280,
        model_id: str | None = None,
        save_file: str | None = None,
    ) -> ImageGenerationResponse:
        """An image of a description."""
        model = self.model("image", model_id)
        found = model.images(prompt, height=height, width=width, **self._seed())
        return image_response(found, response_format, save_file)

    def generate_audio(self, prompt: str, model_id: str | None = None) -> SpeechGenerationResponse:
        """A text spoken."""
        return sound_response(self.model("speech", model_id).speak(prompt, **self._seed()))

    def tokenize_text(
        self,
        text: str,
        add_special_tokens: bool,
        enable_thinking: bool | None = None,
        model_id: str | None = None,
    ) -> list[int]:
        """Token ids of a text."""
        ids: list[int] = self.model("text", model_id).tokenize(text, add_special=add_special_tokens)
        return ids

    def detokenize_text(
        self, tokens: list[int], skip_special_tokens: bool, model_id: str | None = None
    ) -> str:
        """The text of token ids."""
        llm = self.model("text", model_id)
        return str(llm.detokenize(tokens, skip_special=skip_special_tokens))

    def max_sequence_length(self, model_id: str | None = None) -> int | None:
        """The context in tokens."""
        return int(self.model("text", model_id).context_length) if self.task == "text" else None

    def send_re_isq(self, dtype: str, model_id: str | None = None) -> None:
        """Refused: a loaded model keeps its types."""
        raise RequestError(f"in_situ_quant={dtype!r} is given when a Runner is made; make another")

    def begin_calibration(self, model_id: str | None = None) -> Any:
        """Refused: what is measured is measured while loading."""
        raise RequestError(WHOLE)

    calibration_status = begin_calibration

    def apply_calibration(
        self, save_cimatrix: str | None = None, model_id: str | None = None
    ) -> Any:
        """Refused: see `begin_calibration`."""
        raise RequestError(WHOLE)

    def export_session(self, session_id: str, model_id: str | None = None) -> str | None:
        """None: no sessions are kept; messages hold the whole conversation."""
        return None

    def import_session(
        self, session_id: str, session_json: str, model_id: str | None = None
    ) -> None:
        """Refused: no sessions are kept."""
        raise RequestError(f"session_id: {asking.REFUSED['session_id']}")

    def delete_session(self, session_id: str, model_id: str | None = None) -> bool:
        """False: there is none."""
        return False

    def list_session_ids(self, model_id: str | None = None) -> list[str]:
        """None are kept."""
        return []

    def find_file(self, file_id: str) -> None:
        """None: no files are made."""
        return

    def _seed(self) -> dict[str, int]:
        return {} if self._seeds is None else {"seed": next(self._seeds)}
