"""The common base of `LLM` and `AsyncLLM`: loading, tokenization, and converting events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from tramontane.adapters.adapter_set import refuse_name, refuse_weight
from tramontane.adapters.fit_mixture import MOST_FROZEN
from tramontane.adapters.stored_mixture import MixtureOptions
from tramontane.answers import AnswerParser
from tramontane.chat.toolbox import name_of
from tramontane.checkpoint.load_options import LoadOptions, LoadReport, Progress
from tramontane.engine.options import EngineOptions
from tramontane.engine.request import Event, Finished
from tramontane.errors import RequestError
from tramontane.hub.options import HubOptions
from tramontane.mcp import McpConfig, McpServers, read_config
from tramontane.media.fetch import Fetch
from tramontane.media.options import MOST_ITEMS, MediaOptions
from tramontane.option_checks import (
    FLAG,
    a_path,
    a_text,
    check_options,
    function,
    instance,
    whole,
)
from tramontane.registry import Registry
from tramontane.results import Chunk

from .loaded_model import LoadedModel, Message
from .source import DEFAULT, find_adapter

Source: TypeAlias = str | Path
CHECKS = {
    "model": a_path("a folder, a file, an installed model's name or a hub id"),
    "chat_template": a_path("a .jinja or .json file", none=True),
    "draft": a_path("the name of a drafter, with options, a model, or 'none'"),
    "registry": instance(Registry, what="a Registry", none=True),
    "progress": function("a function of bytes done and bytes in all", none=True),
    "tool_caller": a_text("the name of a format of tool calls", none=True),
    "merge_adapters": FLAG,
    "xlora_order": a_path("an ordering file", none=True),
    "tgt_non_granular_index": whole(1, MOST_FROZEN, none=True),
    "mcp": instance(str, Path, Mapping, McpConfig, what="a file or a configuration", none=True),
}
"""Of options that are neither the engine's nor of loading, the hub or media."""


class OpenModel:
    """A loaded model, and the engine that runs it."""

    def __init__(
        self,
        model: str | Path = DEFAULT,
        *,
        revision: str | None = None,
        token_source: str = "cache",
        cache_dir: Path | None = None,
        device: str = "auto",
        gpu_layers: int | str | None = None,
        device_map: str | None = None,
        n_cpu_moe: int | str | None = None,
        tp: int | str | None = None,
        tp_nodes: str | None = None,
        tp_timeout: float = 30.0,
        interconnect: str | None = None,
        dtype: str = "auto",
        threads: int | None = None,
        activations: str = "auto",
        kv_type: str = "auto",
        num_ctx: int | None = None,
        mmap: bool = True,
        force: bool = False,
        overrides: dict[str, Any] | None = None,
        mmproj: str | Path | Literal[False] | None = None,
        quant: str | int | None = None,
        isq: str | int | None = None,
        isq_organization: str = "default",
        topology: Path | None = None,
        imatrix: Path | None = None,
        calibration_file: Path | None = None,
        chat_template: Path | None = None,
        batch_size: int = 512,
        max_seqs: int = 32,
        kv_tokens: int | None = None,
        kv_memory: str | None = None,
        max_batched_tokens: int | None = None,
        state_slots: int | None = None,
        media_cache: int = 256 << 20,
        max_edge: int | None = None,
        max_num_images: int = MOST_ITEMS,
        video_fps: float | None = None,
        fetch: bool | str | Sequence[str] | Fetch | None = None,
        prefix_cache: bool = True,
        max_waiting: int | None = None,
        queue_timeout: float | None = None,
        draft: str | Path = "none",
        registry: Registry | None = None,
        progress: Progress | None = None,
        tool_caller: str | None = None,
        mcp: Path | str | Mapping[str, Any] | McpConfig | None = None,
        adapters: Mapping[str, Source | tuple[Source, float]] | None = None,
        merge_adapters: bool = False,
        xlora_order: str | Path | None = None,
        tgt_non_granular_index: int | None = None,
    ) -> None:
        """Load a model.

        A model without a tokenizer loads too; it takes and returns token ids, and what needs a text
        raises RequestError.

        model: a folder, a model file, an installed model's name, or a hub id; without one, the
          small embedded model.
        revision, token_source, cache_dir: of the hub; see `HubOptions`.
        device, gpu_layers, device_map, n_cpu_moe, tp, tp_nodes, tp_timeout, interconnect,
          dtype, threads, activations, kv_type, num_ctx, mmap, force, overrides, mmproj, quant, isq,
          isq_organization, topology, imatrix, calibration_file: see `LoadOptions`.
        chat_template: a Jinja file to use instead of the model's own.
        batch_size, max_seqs, kv_tokens, kv_memory, max_batched_tokens, state_slots, media_cache,
          prefix_cache, max_waiting, queue_timeout: see `EngineOptions`.
        draft: what guesses tokens ahead, so that several are computed in one step; no answer
          changes by it: "ngram" or "ngram:n=3:max=16", or a smaller model of the same vocabulary,
          a folder, a model file, or a hub id.
        max_edge: pixels of an image's longest side; larger ones are reduced first, which leaves the
          exact path of the model's processor.
        max_num_images: in a conversation.
        video_fps: frames of each second of a video that are looked at; None: as the checkpoint
          says.
        fetch: whether media at addresses of the web (http:, https:) are fetched: True, or the names
          of the hosts that alone may be reached. Off by default: who writes messages would choose
          where this computer connects to.
        tool_caller: how the model writes tool calls, where its chat template does not show it.
        mcp: MCP servers whose tools every chat has: a configuration, or a file with one.
        adapters: LoRA adapters by name, each a folder, a file or a hub id, or such and a weight;
          requests choose by `adapter=`.
        merge_adapters: whether these become part of the weights instead, all of them, with what
          each counts: requests have no choice then, and answers cost what the model's own do.
        xlora_order, tgt_non_granular_index: of those that are an X-LoRA, see `load_adapter`.

        Raises ModelNotFound, CheckpointError, PluginError, NotEnoughMemory, all TramontaneError.
        """
        check_options(
            {
                "model": model, "chat_template": chat_template, "draft": draft, "mcp": mcp,
                "registry": registry, "progress": progress, "tool_caller": tool_caller,
                "merge_adapters": merge_adapters, "xlora_order": xlora_order,
                "tgt_non_granular_index": tgt_non_granular_index,
            },
            CHECKS,
        )  # fmt: skip
        given = _adapters(adapters)
        if merge_adapters and not given:
            raise RequestError("merge_adapters merges those of adapters, and there are none")
        registry = registry or Registry.from_environment()
        servers = mcp if mcp is None or isinstance(mcp, McpConfig) else read_config(mcp)
        self._hub = HubOptions(token_source=token_source, cache_dir=cache_dir)
        merged = {}
        if merge_adapters:
            for name, (source, *weight) in given.items():
                merged[name] = find_adapter(str(source), self._hub), *(weight or [1.0])
            given = {}
        self.inner = LoadedModel(
            model,
            hub=HubOptions(revision=revision, token_source=token_source, cache_dir=cache_dir),
            options=LoadOptions(
                device=device,
                gpu_layers=gpu_layers,
                device_map=device_map,
                n_cpu_moe=n_cpu_moe,
                tp=tp,
                tp_nodes=tp_nodes,
                tp_timeout=tp_timeout,
                interconnect=interconnect,
                dtype=dtype,
                threads=threads,
                activations=activations,
                kv_type=kv_type,
                num_ctx=num_ctx,
                media_cache=media_cache,
                mmap=mmap,
                force=force,
                overrides={} if overrides is None else overrides,
                mmproj=mmproj,
                quant=quant,
                isq=isq,
                isq_organization=isq_organization,
                topology=topology,
                imatrix=imatrix,
                calibration_file=calibration_file,
                merge=merged,
            ),
            chat_template=None if chat_template is None else Path(chat_template),
            engine=EngineOptions(
                batch_size=batch_size,
                max_seqs=max_seqs,
                kv_tokens=kv_tokens,
                kv_memory=kv_memory,
                max_batched_tokens=max_batched_tokens,
                state_slots=state_slots,
                media_cache=media_cache,
                prefix_cache=prefix_cache,
                max_waiting=max_waiting,
                queue_timeout=queue_timeout,
            ),
            draft=draft,
            registry=registry,
            progress=progress,
            tool_caller=tool_caller,
            token_ids=True,
            media=MediaOptions(
                max_edge=max_edge,
                max_num_images=max_num_images,
                video_fps=video_fps,
                fetch=Fetch.of(fetch),
            ),
        )
        try:
            mixing: Any = {
                "xlora_order": xlora_order, "tgt_non_granular_index": tgt_non_granular_index,
            }  # fmt: skip
            for name, source in given.items():
                self.load_adapter(name, *source, **mixing)
            self.inner.adapters.refuse_unused(**mixing)
            self._servers = None if servers is None else McpServers(servers, self.inner.registry)
        except BaseException:
            self.inner.close()
            raise

    @property
    def adapters(self) -> list[str]:
        """The names of the adapters that requests may choose."""
        return self.inner.adapters.names

    def load_adapter(
        self,
        name: str,
        source: Source,
        weight: float = 1.0,
        *,
        replace: bool = False,
        xlora_order: str | Path | None = None,
        tgt_non_granular_index: int | None = None,
    ) -> None:
        """Load an adapter while the model serves. source: a folder, a file or a hub id. weight:
        what it counts where a request does not say. replace: instead of one of that name, which
        requests that run with it keep.

        If it is an X-LoRA: xlora_order: an ordering file, of its adapters and layers.
        tgt_non_granular_index: after so many tokens of an answer its scalings stay as they are,
        and there is one pass for each further token.

        Raises AdapterError, RequestError, ModelNotFound.
        """
        _refuse_source(name, source)
        given = {
            "xlora_order": xlora_order, "tgt_non_granular_index": tgt_non_granular_index
        }  # fmt: skip
        check_options(given, CHECKS)
        path = find_adapter(str(source), self._hub)
        mixing = MixtureOptions(
            None if xlora_order is None else Path(xlora_order), tgt_non_granular_index
        )
        self.inner.adapters.load(name, path, weight, again=replace, mixing=mixing)

    def unload_adapter(self, name: str) -> None:
        """Forget an adapter; requests that run with it end as they began. Raises RequestError."""
        self.inner.adapters.unload(name)

    @property
    def report(self) -> LoadReport:
        """How the checkpoint was loaded: layouts, kernels, bytes."""
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
        """The tools of a chat: the given ones, and those of all connected MCP servers."""
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
        """Stop the engine's thread; running requests are cancelled, MCP servers disconnected."""
        if self._servers is not None:
            self._servers.close()
        self.inner.close()


def _adapters(given: Any) -> dict[str, tuple[Any, ...]]:
    """Sources, perhaps with weights, by the names of adapters. Raises RequestError."""
    if given is not None and not isinstance(given, Mapping):
        raise RequestError(
            "adapters should be sources by their names, "
            f'{{"tales": "path/to/adapter"}}, not {given!r:.60}'
        )
    found = {}
    for name, value in (given or {}).items():
        source = value if isinstance(value, tuple) else (value,)
        if not 1 <= len(source) <= 2:
            raise RequestError(
                f"the adapter {name!r:.60} should be a source, or a source and a weight, "
                f"not {value!r:.60}"
            )
        refuse_name(name)
        _refuse_source(name, source[0])
        refuse_weight(name, *source[1:])
        found[name] = source
    return found


def _refuse_source(name: Any, source: Any) -> None:
    if not isinstance(source, str | Path) or not str(source):
        raise RequestError(
            f"the adapter {name!r:.60} should be a folder, a file or a hub id, not {source!r:.60}"
        )


def conversation(messages: Sequence[Message] | str) -> Sequence[Message]:
    """A list of messages; a string becomes one user message."""
    return [{"role": "user", "content": messages}] if isinstance(messages, str) else messages


def chunk_of(event: Event, index: dict[str, int], parsers: Sequence[AnswerParser] = ()) -> Chunk:
    """Convert an engine event to a chunk, with deltas by the request's parser, if there are any.

    Raises RequestError for a request that failed, EngineBusy for one that timed out in the queue,
    ModelLost.
    """
    place = index[event.id]
    deltas = tuple(parsers[place].push(event.text)) if parsers else ()
    if isinstance(event, Finished):
        event.result.check_room()
        if event.result.error is not None:
            raise RequestError(f"the request failed: {event.result.error}")
        rest = tuple(parsers[place].finish()) if parsers else ()
        return Chunk(event.text, place, result=event.result, deltas=(*deltas, *rest))
    return Chunk(event.text, place, event.token, event.logprob, deltas=deltas)


def cancel_all(cancels: Iterable[Callable[[], None]]) -> None:
    """Cancel requests; no effect on those that have finished."""
    for cancel in cancels:
        cancel()
