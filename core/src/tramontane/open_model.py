"""What `LLM` and `AsyncLLM` share: loading, token ids, and events as chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from .answers import AnswerParser
from .checkpoint.load import LoadOptions, LoadReport, Progress
from .engine.engine import RETRY_AFTER
from .engine.options import EngineOptions
from .engine.request import Event, Finished
from .errors import EngineBusy, RequestError
from .grammar import schema_grammar
from .loaded_model import LoadedModel, Message
from .mcp import McpConfig, McpServers, read_config
from .registry import Registry
from .results import Chunk
from .sampling_params import SamplingParams
from .source import DEFAULT, HubOptions
from .toolbox import name_of

Schema: TypeAlias = Mapping[str, Any] | type[Any]
"""A JSON schema, a pydantic model, or any type that pydantic has a schema of."""


class OpenModel:
    """A model that is loaded, and an engine that runs it."""

    def __init__(
        self,
        model: str | Path = DEFAULT,
        *,
        revision: str | None = None,
        token_source: str = "cache",
        cache_dir: Path | None = None,
        device: str = "auto",
        dtype: str = "auto",
        threads: int | None = None,
        activations: str = "auto",
        kv_type: str = "auto",
        num_ctx: int | None = None,
        mmap: bool = True,
        force: bool = False,
        overrides: dict[str, Any] | None = None,
        chat_template: Path | None = None,
        batch_size: int = 512,
        max_seqs: int = 32,
        kv_tokens: int | None = None,
        kv_memory: str | None = None,
        max_batched_tokens: int | None = None,
        prefix_cache: bool = True,
        max_waiting: int | None = None,
        queue_timeout: float | None = None,
        registry: Registry | None = None,
        progress: Progress | None = None,
        tool_caller: str | None = None,
        mcp: Path | str | Mapping[str, Any] | McpConfig | None = None,
    ) -> None:
        """Load a model.

        model: a folder, a model file, an installed model's name, or a hub id; without one, the
          small embedded model.
        revision, token_source, cache_dir: of the hub; see `HubOptions`.
        device, dtype, threads, activations, kv_type, num_ctx, mmap, force, overrides: see
          `LoadOptions`.
        chat_template: a Jinja file to use instead of the model's own.
        batch_size, max_seqs, kv_tokens, kv_memory, max_batched_tokens, prefix_cache, max_waiting,
          queue_timeout: how requests share the model; see `EngineOptions`.
        tool_caller: how the model writes tool calls, where its chat template does not show it.
        mcp: MCP servers whose tools every chat has: a configuration, or a file with one.

        Raises ModelNotFound, CheckpointError, PluginError, NotEnoughMemory, all TramontaneError.
        """
        servers = mcp if mcp is None or isinstance(mcp, McpConfig) else read_config(mcp)
        self.inner = LoadedModel(
            model,
            hub=HubOptions(revision=revision, token_source=token_source, cache_dir=cache_dir),
            options=LoadOptions(
                device=device,
                dtype=dtype,
                threads=threads,
                activations=activations,
                kv_type=kv_type,
                num_ctx=num_ctx,
                mmap=mmap,
                force=force,
                overrides=overrides or {},
            ),
            chat_template=chat_template,
            engine=EngineOptions(
                batch_size=batch_size,
                max_seqs=max_seqs,
                kv_tokens=kv_tokens,
                kv_memory=kv_memory,
                max_batched_tokens=max_batched_tokens,
                prefix_cache=prefix_cache,
                max_waiting=max_waiting,
                queue_timeout=queue_timeout,
            ),
            registry=registry,
            progress=progress,
            tool_caller=tool_caller,
        )
        try:
            self._servers = None if servers is None else McpServers(servers, self.inner.registry)
        except BaseException:
            self.inner.close()
            raise

    @property
    def report(self) -> LoadReport:
        """What became of the checkpoint: layouts, kernels, bytes."""
        return self.inner.loaded.report

    @property
    def context_length(self) -> int:
        return self.inner.engine.context_length

    def tokenize(self, text: str, *, add_special: bool = True) -> list[int]:
        """Token ids of a text."""
        return self.inner.tokenizer.encode(text, add_special=add_special)

    def detokenize(self, tokens: Sequence[int], *, skip_special: bool = False) -> str:
        """The text of token ids."""
        return self.inner.tokenizer.decode(tokens, skip_special=skip_special)

    def tools(self, given: Sequence[Any] = ()) -> list[Any]:
        """The tools of a chat: those given, and those of MCP servers that are up now."""
        if self._servers is None:
            return list(given)
        names = {name_of(tool) for tool in given}
        return [*given, *self._servers.functions(names)]

    @property
    def mcp(self) -> McpServers:
        """The MCP servers, with their resources and prompts. Raises RequestError without any."""
        if self._servers is None:
            raise RequestError("this model has no MCP servers; name them: mcp=")
        return self._servers

    def close(self) -> None:
        """Free the engine's thread; running requests are cancelled, MCP servers left."""
        if self._servers is not None:
            self._servers.close()
        self.inner.close()


def conversation(messages: Sequence[Message] | str) -> Sequence[Message]:
    """Messages, or one user's text as a message."""
    return [{"role": "user", "content": messages}] if isinstance(messages, str) else messages


def with_schema(params: SamplingParams | None, schema: Schema | None) -> SamplingParams | None:
    """The parameters with the schema's grammar. Raises RequestError where they have another."""
    if schema is None:
        return params
    if params is not None and params.grammar is not None:
        raise RequestError("schema= and a grammar in the parameters exclude each other; keep one")
    given = {} if params is None else dict(params)
    return SamplingParams(**{**given, "grammar": schema_grammar(schema)})


def chunk_of(event: Event, index: dict[str, int], parsers: Sequence[AnswerParser] = ()) -> Chunk:
    """An event as its caller sees it, told apart by the parser of its request, if there are any.

    Raises RequestError for a request that failed.
    """
    place = index[event.id]
    deltas = tuple(parsers[place].push(event.text)) if parsers else ()
    if isinstance(event, Finished):
        if event.result.busy:
            raise EngineBusy(event.result.error or "", RETRY_AFTER)
        if event.result.error is not None:
            raise RequestError(f"the request failed: {event.result.error}")
        rest = tuple(parsers[place].finish()) if parsers else ()
        return Chunk(event.text, place, result=event.result, deltas=(*deltas, *rest))
    return Chunk(event.text, place, event.token, event.logprob, deltas=deltas)


def refuse_best_of(params: SamplingParams | None) -> None:
    """What is best is known at the end. Raises RequestError."""
    if params is not None and params.best_of not in (None, params.n):
        raise RequestError(f"best_of={params.best_of} cannot be streamed: leave out one of the two")


def cancel_all(cancels: Iterable[Callable[[], None]]) -> None:
    """Cancel requests; those that have ended do not mind."""
    for cancel in cancels:
        cancel()
