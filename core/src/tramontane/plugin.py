"""Everything that a plugin author imports. Importing it imports neither torch nor pydantic.

An entry point declares a name. An offer, one of the records below, describes the extension. A
target, `"package.module:attribute"`, is the import path of its code, imported when needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import Any, TypeAlias

import pluggy

__all__ = [
    "AdapterForm",
    "Architecture",
    "Backend",
    "Command",
    "Drafter",
    "Interconnect",
    "McpClient",
    "Model",
    "Offer",
    "Page",
    "Quantizer",
    "Sampler",
    "Target",
    "ToolCaller",
    "Toolset",
    "hookimpl",
    "load",
]

hookimpl = pluggy.HookimplMarker("tramontane")
"""Marks a function of a plugin module that implements a hook of `tramontane.hookspecs`."""
Target: TypeAlias = str


def load(target: Target) -> Any:
    """Import a target's attribute. Raises ImportError or AttributeError as Python does."""
    return resolve_name(target)


@dataclass(frozen=True, kw_only=True)
class Offer:
    """An extension that a plugin provides, under names that users or checkpoints refer to."""

    name: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Architecture(Offer):
    """A model family. name: `architectures[0]` of config.json; aliases: GGUF's and older names."""

    config: Target
    """A `DecoderConfig` subclass, of other tasks than text a `ModelConfig` subclass: which
    configurations are supported."""
    model: Target
    """A `CausalLM` subclass, or a `TaskModel` subclass, which does not run in the engine. Empty for
    a checkpoint of several parts, each an architecture of its own, that has no tensors beside
    them."""
    task: str = "text"
    """What its models are for: "text", "embed", "rank", "transcribe", "image" or "speech"; empty
    for what is only a part of others, such as a text encoder."""
    tasks: Mapping[str, Target] = field(default_factory=dict, hash=False)
    """What does a task with its models: task to a target that is called with the loaded model, a
    `tramontane.tasks.loaded_task.LoadedTask` or, of a `CausalLM`, a
    `tramontane.model.loaded_model.LoadedModel`, and returns an object with the protocol in
    `tramontane.tasks.TASK`. A model can do these beside what `task` says."""
    parts: Target | None = None
    """(checkpoint) -> further parts of a checkpoint by name, each the Path of a folder or file, or
    a hub id. Of a folder with `model_index.json` its subfolders are parts without it. Optional
    keyword: folder, the Path that the user names for parts (`--parts`), or None."""
    told_by: tuple[str, ...] = ()
    """Names of tensors of which a file of weights that comes without a `config.json` has all, each
    perhaps behind a prefix that is left out. `metadata` then says the configuration, and `weights`
    has rules for the dialect "file". One file may hold several parts, each told by its own names:
    they are parts of the one that has a `task`."""
    weights: Target | None = None
    """A dict from checkpoint dialect ("hf", "gguf") to a list of `tramontane.checkpoint.rules`, or
    a function of the config that returns one; None: tensor path equals attribute path."""
    metadata: Mapping[str, str] | str | None = field(default=None, hash=False)
    """Keys of a container's metadata ("acme.decay" of a GGUF file) to fields of `config`; or a
    target: such a mapping, or (metadata, config) -> a mapping of fields to values, given the raw
    metadata and the fields so far. They go before the container's own. Arrays come as tuples.
    Optional keyword: tensors, the TensorInfo of the tensors by name."""
    media: Target | None = None
    """(config, files: Mapping) -> a `tramontane.media.processor.MediaProcessor`, for a `MediaLM`.
    files: the content of `processor_config.json` or `preprocessor_config.json`; empty without."""
    encoders: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """Kinds of encoders that lie in a file of their own beside a container with a language model,
    as that file calls them (`clip.projector_type` of a GGUF mmproj), each with the container's
    names of the language models that it makes one of this family of: {"acme": ("llama",)}. Tensors
    of the file are named by `weights`, as all of the container's dialect."""
    encoder: Target | None = None
    """(metadata: Mapping, config: Mapping) -> `tramontane.checkpoint.encoder.EncoderSettings`, or
    None where such a file is another family's. metadata: of the encoder's file; config: of the
    language model. Optional keyword: tensors, the TensorInfo of the file's tensors by name."""
    adapters: Target | None = None
    """(config, checkpoint: `tramontane.checkpoint.Checkpoint`) -> adapters that are part of the
    checkpoint, by name, each a function that reads a `tramontane.adapters.stored.StoredAdapter`, or
    the Path of one in an `AdapterForm`: the media processor's `adapter` says with which of them a
    prompt is computed."""
    next_token: Target | None = None
    """(config) -> `tramontane.blocks.NextToken`: the layer of its checkpoints that guesses a token
    further, for `--draft mtp`; None: there is none, or none is known."""
    example: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """A tiny config.json (2 layers) with which the conformance kit builds the model."""


@dataclass(frozen=True, kw_only=True)
class Quantizer(Offer):
    """A checkpoint format. name: `quant_method` of config.json, or a container's suffix."""

    magic: bytes = b""
    """The first bytes of a container file; empty for formats inside safetensors."""
    files: tuple[str, ...] = ()
    """Names of container files that no first bytes tell from others, as patterns ("*.acme"). In a
    folder with `config.json` such a file is opened where no usual weights are."""
    open: Target | None = None
    """(Path) -> `tramontane.checkpoint.Checkpoint`, for containers."""
    translate: Target | None = None
    """(tensors: dict[str, Tensor], config: dict) -> Layout or None, for each matrix of a folder of
    safetensors that is not just a plain weight. The keys are the tensors' names below the layer's
    path; config is the whole quantization configuration; None: dense as stored. Optional keywords:
    path, the layer's in the checkpoint's names; shape, (rows, columns) that the model wants;
    transposed, whether that is (columns, rows) of what multiplies; model, all of config.json;
    metadata, the texts of `__metadata__` of the files that hold the layer's tensors."""
    names: Target | None = None
    """(name: str, config: dict) -> str or None: a tensor's name with what belongs to a layer below
    the layer's path, where the file has it elsewhere ("experts.down_proj_scales"); most names stay.
    None: no part of the model, such as scales of the cache; it is left out."""
    told_by: tuple[tuple[str, ...], ...] = ()
    """The keys that tell a quantization configuration without `quant_method`: it has all of one
    tuple, none of them false, and none that begins with "!" here, such as ("w_bit", "!sym")."""
    matches: Target | None = None
    """(config: dict) -> bool: the same where keys alone do not tell. Optional keyword: model, all
    of config.json."""
    memory: Target | None = None
    """(tensors: dict[str, TensorInfo], config: dict) -> int: bytes that the layer will have in
    memory, with the keywords of `translate`; None: as many as in the file."""
    kinds: Mapping[str, float] = field(default_factory=dict, hash=False)
    """What `quantize` or `encode` makes, by the names that `--isq` takes ("q4_k", "nf4"), each with
    the bits that a weight takes in memory, scales included."""
    quantize: Target | None = None
    """(weight: Tensor, kind: str) -> Layout, of a matrix (rows, columns) in float32. Optional
    keyword: importance, (columns) float32 or None: mean squares of what each column is multiplied
    with. Raises ValueError for a shape that the kind cannot have."""
    row_block: int = 0
    """Rows that `quantize` and `encode` make without a look at others: a matrix may be made in
    parts of multiples of these, by several threads; 0: whole matrices only."""
    encode: Target | None = None
    """(weight: Tensor, kind: str) -> dict[str, Tensor]: the layer's tensors as the format stores
    them in safetensors, by their names below the layer's path, so that `translate` reads them.
    Keyword and errors as of `quantize`, in whose place it may stand."""
    settings: Target | None = None
    """(kinds: dict[str, str]) -> dict: the `quantization_config` of a folder whose layers were made
    by `encode`. kinds: each quantized layer's path and kind."""
    file_kinds: Mapping[int, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """What names of a container's files have for a number of bits, best first: 4 to ("q4_k_m",
    "q4_0"). `--quant` chooses by it."""
    file_growth: Mapping[str, float] = field(default_factory=dict, hash=False)
    """How many times the bytes of a container's file its matrices take in memory, by what names of
    files have for their kind ("iq2_m"); a kind that is not here takes as many. `--quant auto`
    counts by it what is on a hub."""
    importance: Target | None = None
    """(path: Path) -> Mapping[str, Tensor]: reads a container's file of importances: mean squares
    by the paths of the model's matrices, (columns), or (count, columns) for those of experts.
    Raises CheckpointError for a file that is not one."""
    write_importance: Target | None = None
    """(importances: Mapping[str, Tensor], path: Path, text: str) -> None: writes such a file, for
    `tramontane imatrix` and an output whose ending is the offer's name. importances: as they are
    read; text: what they were measured on, by name. Raises CheckpointError."""
    write: Target | None = None
    """(source: `tramontane.quantizing.source.QuantizeSource`, path: Path, kind: str, progress:
    (bytes done, bytes in all) -> None) -> None: writes a model as a container file, its matrices
    quantized. kind: of `kinds`, or a mixture that the container knows. Raises UsageError for a kind
    that it does not know."""
    sample: Target | None = None
    """(folder: Path) -> Path: writes a tiny valid file or folder there; the conformance kit loads
    and damages it."""
    decode: Target | None = None
    """The format's own arithmetic, written plainly and apart from the translation, to which the
    conformance kit holds it. For a container (Path) -> Mapping[str, Tensor], float32 by the
    tensors' names; with `translate` (tensors, config) -> Tensor, (rows, columns) in float32."""


@dataclass(frozen=True, kw_only=True)
class Backend(Offer):
    """A kind of device. name: what `--device` accepts."""

    probe: Target
    """() -> list[tramontane.backend.Device]; cheap; empty if there is no such device, not an
    error."""
    prepare: Target | None = None
    """A `tramontane.backend.Prepare`: (model, device, threads, activations) -> chosen kernels. None
    only where `stands_on` names a backend that has one."""
    stands_on: str = ""
    """The name of another backend, whose targets are this one's where this one has none, `probe`
    and `explain` excepted."""
    products: Target | None = None
    """A `tramontane.native_product.Products`, beside `stands_on`: (weight, form, device, threads,
    activations) -> a product for the other's steps, or None where its own is to do it."""
    takes_products: bool = False
    """Whether others may stand on this one with `products`: `prepare` then has a keyword of that
    name, None or a function (weight, form) -> NativeProduct or None, called for plain matrices."""
    explain: Target | None = None
    """() -> list[tramontane.backend.Reason]: for `doctor`, what the backend found of drivers and
    the like, and what is missing where there is no device; cheap, as `probe`."""
    pack: Target | None = None
    """A `tramontane.backend.Pack`: (weight, device, threads) -> weight, for each that is read."""
    translate: Target | None = None
    """A `tramontane.backend.Translate`: (matrices, device, threads) -> a weight or None for
    each, directly from a file's blocks."""
    expect: Target | None = None
    """A `tramontane.backend.Expect`: (nbytes, threads) -> None, before torch is imported."""
    multiply: Target | None = None
    """(threads) -> a function of x (tokens, columns) and a `Dense` layout or a `LowRank` matrix,
    (rows, columns), that returns (tokens, rows), and whose rows' bits do not depend on how many
    there are: for adapters. None: torch's own product."""
    bind: Target | None = None
    """(weight: Layout, device, threads, activations) -> (weight, kernel): one matrix that is not
    the model's but may take the place of one, repacked, with the kernel that the model's would
    have. Arguments as of `prepare`. None: it stays as it is, on the reference."""
    foresee: Target | None = None
    """A `tramontane.backend.Foresee`: (model, matrices, device, threads, activations, kv_dtype) ->
    None, before weights are read."""
    keep: Target | None = None
    """A `tramontane.backend.Keep`, not a function: how repacked weights are kept on disk for the
    next start."""

    def __post_init__(self) -> None:
        if self.prepare is None and not self.stands_on:
            raise TypeError(f"the backend {self.name!r} has neither prepare= nor stands_on=")
        if self.products is not None and not self.stands_on:
            raise TypeError(f"the backend {self.name!r} has products= and no stands_on=")


@dataclass(frozen=True, kw_only=True)
class Sampler(Offer):
    """One step of the sampler chain. name: what `--sampler` calls it."""

    order: int
    """Steps run in ascending order unless a request gives its own."""
    exclusive: bool | None = None
    """Whether it finds by itself how many tokens to keep, so that no other exclusive step, and none
    that drops tokens, may run besides. None: it does if its order is 300 or more."""
    options: Mapping[str, float | int | str | None] = field(default_factory=dict, hash=False)
    """The options and their defaults, first the one that may be given without its key."""
    fields: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Request fields that switch the step on, each with the option that it sets."""
    flags: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Options of the command line, without "--", each with the option that it sets. Each is an
    entry point of `tramontane.sampler_flags` too, so that help lists it and imports nothing."""
    build: Target
    """(options: dict, context: SamplerContext) -> Step, or None when the options mean "off"."""
    ready: Target | None = None
    """(context: SamplerContext) -> None: warm-up; puts into `context.kept` what a model's first
    request would have to compute. Servers call it in a thread once a model is loaded."""


@dataclass(frozen=True, kw_only=True)
class ToolCaller(Offer):
    """A syntax of tool calls, or of reasoning. Chosen if all `markers` occur in the chat template;
    of several the one with the most marker text. One without markers is the fallback."""

    markers: tuple[str, ...]
    opening: str
    closing: str
    reads: tuple[str, ...] = ("calls",)
    """"calls", "reasoning", or both. One that reads only reasoning needs only `opening` and
    `closing`, the marks around it."""
    parse: Target | None = None
    """A `tramontane.tools.ParseToolCalls`: (text, tools) -> list[ToolCall]; the text is the one
    between `opening` and `closing`."""
    scan: Target | None = None
    """(tramontane.answers.Scan) -> generator, instead of `parse`: parses calls while streaming."""
    grammar: Target | None = None
    """A `tramontane.tools.WriteCalls`, a grammar that guarantees calls; None: not supported."""
    answer: str = ""
    """The mark that begins an answer without calls, if that distinguishes it from reasoning."""
    example: str = ""
    """A text in which a model calls `get_weather` with `{"city": "Oslo"}`; the conformance kit
    parses and damages it."""


@dataclass(frozen=True, kw_only=True)
class McpClient(Offer):
    """A transport to MCP servers. name: `stdio`, `http`, ..."""

    connect: Target
    """A `tramontane.tools.ConnectMcp`: (McpServer) -> async context manager of McpSession."""


@dataclass(frozen=True, kw_only=True)
class Toolset(Offer):
    """Tools for a model that the owner turns on by name (`--tools`); off until then."""

    summary: str
    """One line for listings: what its tools do, and what they reach."""
    options: Mapping[str, float | int | str | bool | None] = field(default_factory=dict, hash=False)
    """The owner's options (`--tool-option NAME.OPTION=VALUE`) and their defaults. A value has its
    default's type; of None, text."""
    open: Target
    """A `tramontane.toolset.OpenToolset`: (ToolContext) -> async context manager of a ToolSession,
    entered once for a conversation."""


@dataclass(frozen=True, kw_only=True)
class AdapterForm(Offer):
    """A form in which adapters are stored: small changes of a model's weights."""

    files: tuple[str, ...]
    """Names of files that tell it, as patterns: of those in a folder, or of the file itself."""
    read: Target | None = None
    """(path: Path) -> `tramontane.adapters.stored.StoredAdapter`, or
    `tramontane.adapters.stored_mixture.StoredMixture` of several with a classifier, of a folder or
    a file; optional keywords: `order`, a mixture's ordering file or None, and `inside`: whether to
    read nothing outside of the folder. Raises AdapterError."""
    open: Target | None = None
    """(path: Path, host: `tramontane.adapters.host.Host`, name: str) -> `PromptAdapter`, of
    `adapters.prompted`: instead of `read`, for what is no change of weights, but decides by each
    request's prompt which changes there are."""
    sample: Target | None = None
    """(folder: Path, shapes: Mapping[str, tuple[int, int]]) -> Path: writes a tiny valid adapter
    there, of matrices with these names and shapes; the conformance kit reads it."""


@dataclass(frozen=True, kw_only=True)
class Drafter(Offer):
    """What guesses the next tokens of answers. name: what `--draft` calls it."""

    options: Mapping[str, int] = field(default_factory=dict, hash=False)
    """The options and their defaults; `max`, the most tokens at once, is core's."""
    build: Target
    """(options: dict) -> a `tramontane.drafting.Drafter`, once for a model. Raises UsageError."""


@dataclass(frozen=True, kw_only=True)
class Interconnect(Offer):
    """What the processes of one model, the ranks, exchange numbers with. name: what
    `--interconnect` calls it."""

    join: Target
    """(meeting: `tramontane.parallel.meeting.Meeting`) -> `tramontane.parallel.group.Group`, once
    all ranks are there. Raises `tramontane.parallel.group.PeerLost` where they do not come within
    the time limit, UsageError for a meeting or options that cannot be."""
    find: Target | None = None
    """(environment: Mapping[str, str], options: dict[str, str]) -> Meeting, or None: this process's
    rank, where the interconnect has its own way to say it, such as a file. Raises UsageError."""
    options: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The options and their defaults, as texts."""
    devices: tuple[str, ...] = ("cpu",)
    """Where the tensors may be that it is given, as torch names kinds of devices."""
    machines: bool = False
    """Whether ranks may be on several machines."""


@dataclass(frozen=True, kw_only=True)
class Command(Offer):
    """A subcommand of `tramontane`."""

    summary: str
    run: Target
    """(arguments: list[str]) -> int, the exit status."""


@dataclass(frozen=True, kw_only=True)
class Page(Offer):
    """Pages of a web browser, or routes, that servers have at a path. One of `files` and `app`."""

    summary: str
    path: str
    """Where: "/", or a path of small letters, digits and hyphens ("/acme"). A server's own paths
    are not replaced."""
    files: str = ""
    """"package:folder", a folder inside the package with an `index.html`. Its files are read when a
    server starts, need no API key, and may load nothing from other hosts."""
    app: Target | None = None
    """() -> an ASGI application, called once when a server starts. Its routes need the API key
    where there is one."""

    def __post_init__(self) -> None:
        if bool(self.files) == (self.app is not None):
            raise TypeError(f"the page {self.name!r} needs one of files= and app=")


@dataclass(frozen=True, kw_only=True)
class Model(Offer):
    """A model inside a distribution. name: what `-m` accepts; `default` is run without `-m`."""

    summary: str
    file: str
    """"package:resource", a file or folder inside the package."""
