"""Options that several commands share, and what they become."""

from __future__ import annotations

import argparse
import math
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tramontane.errors import RequestError, UsageError
from tramontane.hub.options import HubOptions
from tramontane.registry import Registry
from tramontane.system.gc_pause import gc_paused, keep_imports

from .device_option import DeviceOption
from .grammar import grammar_of
from .parser import at_least
from .placement_options import add_placement, home_name, placement
from .progress import Loading
from .quantizing_options import add_quantizing, quantizing
from .sampler_flags import add_sampler_flags, given_flags

if TYPE_CHECKING:
    from tramontane.checkpoint.load_options import LoadReport
    from tramontane.llm import LLM
    from tramontane.sampling_params import SamplingParams

SAMPLING: dict[str, tuple[Any, str]] = {
    "temperature": (float, "below 1: likelier tokens; 0: always the most likely one"),
    "top-k": (int, "keep the K most likely tokens; 0: all"),
    "top-p": (float, "keep the most likely tokens that together have this probability"),
    "min-p": (float, "keep tokens with at least this share of the top token's probability"),
    "typical-p": (float, "keep the most typical tokens that together have this probability"),
    "tfs-z": (float, "tail-free sampling; 1: off"),
    "top-a": (float, "keep tokens above this times the square of the top probability"),
    "top-n-sigma": (float, "keep logits within this many standard deviations of the largest"),
    "xtc-probability": (float, "how often to exclude the top choices"),
    "xtc-threshold": (float, "the probability that makes a top choice"),
    "repetition-penalty": (float, "make tokens that occurred less likely; 1: off"),
    "repetition-window": (int, "how many of the last tokens it looks at; -1: all"),
    "frequency-penalty": (float, "subtracted for each time that a token was generated"),
    "presence-penalty": (float, "subtracted once a token was generated"),
    "penalty-window": (int, "how many of the last tokens these two look at; -1: all"),
    "dry-multiplier": (float, "penalty for continuing a repetition; 0: off"),
    "dry-base": (float, "growth of the penalty with each token"),
    "dry-allowed-length": (int, "repetitions up to this length have no penalty"),
    "dry-range": (int, "how many of the last tokens it looks at; -1: all"),
    "mirostat": (int, "Mirostat version 1 or 2; 0: off"),
    "mirostat-tau": (float, "target surprise, in bits"),
    "mirostat-eta": (float, "learning rate"),
    "dynatemp-range": (float, "vary the temperature with the entropy, by this much"),
    "dynatemp-exponent": (float, "exponent of that"),
    "seed": (int, "the same seed gives the same tokens"),
}


def add_source(group: Any, default: str | None = "default") -> None:
    """-m, and how to reach what it names."""
    otherwise = "; without it, the small embedded one" if default else ""
    group.add_argument(
        "-m", "--model", default=default, metavar="MODEL",
        help="a folder, a model file, org/name, org/name:file.gguf, or an installed model"
        + otherwise,
    )  # fmt: skip
    group.add_argument("--revision", help="branch, tag or commit on the hub")
    group.add_argument(
        "--token-source", default="cache", metavar="SOURCE",
        help="the hub's token: cache (logged in), none, env:NAME, path:FILE or literal:TOKEN",
    )  # fmt: skip
    group.add_argument("--hf-cache", type=Path, metavar="DIR", help="the folder of downloads")


def hub_options(options: argparse.Namespace) -> HubOptions:
    """What `add_source` was given."""
    return HubOptions(
        revision=options.revision, token_source=options.token_source, cache_dir=options.hf_cache
    )


def cache_folder(options: argparse.Namespace) -> Path:
    """The folder of downloads: --hf-cache, or where the hub's client has it."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(options.hf_cache or HF_HUB_CACHE).expanduser()


def add_model(parser: argparse.ArgumentParser) -> None:
    """-m and how to load what it names."""
    group = parser.add_argument_group("model")
    add_source(group)
    encoder = group.add_mutually_exclusive_group()
    encoder.add_argument(
        "--mmproj", dest="mmproj", metavar="FILE",
        help="a GGUF model's encoder of images: a file or org/name:file.gguf; without it, the one "
        "whose name has 'mmproj' in the model's folder or repository, if it fits",
    )  # fmt: skip
    encoder.add_argument(
        "--no-mmproj", dest="mmproj", action="store_const", const=False,
        help="do not look for a GGUF model's encoder of images: take text only",
    )  # fmt: skip
    group.add_argument("--chat-template", type=Path, metavar="FILE", help="a .jinja or .json file")
    group.add_argument(
        "--tool-caller", metavar="NAME",
        help="format of the model's tool calls, if its chat template does not show it",
    )  # fmt: skip
    group.add_argument(
        "--device", default="auto", action=DeviceOption,
        help="auto, reference, or a backend's name, with a number where it has several: cuda:0; "
        "list: print those that there are, and what others lack",
    )  # fmt: skip
    add_placement(group)
    group.add_argument("--dtype", default="auto", choices=["auto", "f32", "bf16", "f16"])
    group.add_argument(
        "--activations",
        default="auto",
        choices=["auto", "f32"],
        help="f32: do not quantize activations (slower, exact)",
    )
    group.add_argument(
        "--kv-type",
        default="auto",
        choices=["auto", "f32", "bf16", "f16", "int8", "int4", "f8e4m3", "f8e5m2"],
        help="type of the KV cache; int8 takes about half of f16's memory, int4 a quarter",
    )
    group.add_argument("--num-ctx", type=at_least(1), metavar="N", help="context length in tokens")
    group.add_argument(
        "--batch-size", type=at_least(1), metavar="N", default=512, help="prompt tokens per step"
    )
    group.add_argument(
        "--draft", default="none", metavar="NAME|MODEL",
        help="what guesses tokens ahead, so that one step computes several: ngram or "
        "ngram:n=3:max=16, or a smaller model of the same vocabulary (a folder, a .gguf file, "
        "org/name, each with :max=8 or so); none: nothing; answers are the same",
    )  # fmt: skip
    group.add_argument(
        "--no-mmap",
        action="store_true",
        help="read weights into memory instead of mapping the file",
    )
    group.add_argument("--force", action="store_true", help="load even if memory seems too small")
    group.add_argument(
        "--rope-freq-base", type=above_zero, metavar="THETA", help="base of the rotary embedding"
    )
    group.add_argument(
        "--rope-freq-scale", type=_share, metavar="X",
        help="scale of rotary positions: 0.5 doubles the trained context",
    )  # fmt: skip
    add_quantizing(parser)


def add_threads(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-t",
        "--threads",
        type=at_least(1),
        metavar="N",
        help="number of threads (default: physical cores)",
    )


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """How tokens are chosen; what is not given comes from the model's generation_config.json.

    After all other options: those of samplers take the names that are left.
    """
    group = parser.add_argument_group("sampling")
    group.add_argument(
        "-n", "--max-tokens", type=int, metavar="N", help="maximum number of tokens to generate"
    )
    for name, (kind, meaning) in SAMPLING.items():
        metavar = "N" if kind is int else "X"
        group.add_argument(f"--{name}", type=kind, metavar=metavar, help=meaning)
    group.add_argument(
        "--stop", action="append", metavar="TEXT", help="stop at this text; repeatable"
    )
    group.add_argument("--ignore-eos", action="store_true", help="continue after the end token")
    group.add_argument(
        "--token-bias", type=_bias, metavar="ID=BIAS,...", help="add to the logits of tokens"
    )
    group.add_argument(
        "--suppress-token", type=at_least(0), action="append", metavar="ID",
        help="never generate this token; repeatable",
    )  # fmt: skip
    group.add_argument(
        "--sampler", action="append", metavar="CHAIN",
        help="samplers in this order: top_k:k=40/top_p:p=0.9/temperature:0.7",
    )  # fmt: skip
    shape = group.add_mutually_exclusive_group()
    shape.add_argument(
        "--json-schema", metavar="SCHEMA",
        help="answer with JSON that fits this schema: a file, or the schema itself",
    )  # fmt: skip
    shape.add_argument(
        "--grammar", metavar="KIND:TEXT",
        help="json (any object), regex:TEXT, lark:TEXT, gbnf:TEXT or llguidance:TEXT; @FILE for "
        "TEXT reads it",
    )  # fmt: skip
    registry = Registry.from_environment()
    parser.set_defaults(registry=registry)
    add_sampler_flags(parser, registry)


@gc_paused()
def open_llm(options: argparse.Namespace, **more: Any) -> LLM:
    """Load what the options name, with a progress line on a terminal."""
    from tramontane.system.preload import begin

    registry = getattr(options, "registry", None) or Registry.from_environment()
    more = {"threads": getattr(options, "threads", None), **more}
    more = {**quantizing(options), **placement(options), **more}
    stays = options.quant is None and options.isq is None and options.topology is None
    home = home_name(options.device, options.device_map, options.gpu_layers)
    begin(options.model, home, registry, more["threads"], stays=stays)
    from tramontane.checkpoint.load_options import rope_overrides
    from tramontane.llm import LLM

    keep_imports()
    overrides = rope_overrides(options.rope_freq_base, options.rope_freq_scale)
    with Loading() as loading:
        llm = LLM(
            options.model,
            revision=options.revision,
            token_source=options.token_source,
            cache_dir=options.hf_cache,
            device=options.device,
            dtype=options.dtype,
            activations=options.activations,
            kv_type=options.kv_type,
            num_ctx=options.num_ctx,
            mmap=not options.no_mmap,
            force=options.force,
            overrides=overrides,
            mmproj=options.mmproj,
            chat_template=options.chat_template,
            batch_size=options.batch_size,
            draft=options.draft,
            tool_caller=options.tool_caller,
            progress=loading,
            registry=registry,
            **more,
        )
    if not getattr(options, "quiet", False):
        for line in filter(None, (llm.report.chosen, *llm.report.merged)):
            print(line, file=sys.stderr)
    if getattr(options, "verbose", False):
        print_report(llm)
    return llm


def print_report(llm: Any) -> None:
    """What became of the checkpoint, on stderr. llm: or a model of another task."""
    from tramontane.checkpoint.load_options import table
    from tramontane.memory import readable

    report = llm.report
    layouts = ", ".join(f"{count} x {kind}" for kind, count in report.layouts.items())
    each = report.kv_bytes_per_token
    kept = f"at {readable(each)} a token ({report.kv_dtype})" if each else "without keys and values"
    context = f", context {report.context_length} {kept}" if report.context_length else ""
    print(
        f"{report.architecture} from {report.container}, {report.device} in {report.dtype}, "
        f"{readable(report.bytes_in_memory)} of matrices ({layouts}){context}{_states(report)}, "
        f"loaded in {report.seconds:.1f} s",
        file=sys.stderr,
    )
    if (draft := report.draft) is not None:
        print(
            f"draft model: {draft.architecture} from {draft.path}, "
            f"{readable(draft.bytes_in_memory)} of matrices, "
            f"{readable(draft.kv_bytes_per_token)} a token of context",
            file=sys.stderr,
        )
    for line in report.quantized.lines() if report.quantized is not None else ():
        print(line, file=sys.stderr)
    for line in report.shared:
        print(line, file=sys.stderr)
    for line in table(report.devices) if report.devices else ():
        print(f"  {line}", file=sys.stderr)
    for operation, kernel in report.kernels.items():
        print(f"  {operation}: {kernel}", file=sys.stderr)


def _states(report: LoadReport) -> str:
    from tramontane.memory import readable

    size = report.state_bytes_per_sequence
    return f", states of {readable(size)} a request" if size else ""


def sampling(given: dict[str, Any], **defaults: Any) -> SamplingParams:
    """SamplingParams of `given`, what the options say; `defaults` for what they do not."""
    from tramontane.sampling_params import SamplingParams

    return SamplingParams(**{**({} if "sampler" in given else defaults), **given})


def given_sampling(options: argparse.Namespace) -> dict[str, Any]:
    """What the options say of sampling. Raises UsageError for what is out of range."""
    given: dict[str, Any] = {}
    for name in SAMPLING:
        field = name.replace("-", "_")
        if (value := getattr(options, field)) is not None:
            given[field] = value
    if options.max_tokens is not None:
        given["max_tokens"] = options.max_tokens
    if options.stop:
        given["stop"] = tuple(options.stop)
    if options.ignore_eos:
        given["ignore_eos"] = True
    if options.token_bias:
        given["logit_bias"] = options.token_bias
    if options.suppress_token:
        given["suppress_tokens"] = tuple(options.suppress_token)
    if (grammar := grammar_of(options)) is not None:
        given["grammar"] = grammar
    if extra := given_flags(options, options.registry):
        given["extra"] = extra
    if options.sampler:
        given["sampler"] = "/".join(options.sampler)
    if getattr(options, "logprobs", None) is not None:
        given |= {"logprobs": True, "top_logprobs": options.logprobs}
    try:
        sampling(given)
    except RequestError as error:
        raise UsageError(by_option(str(error))) from error
    return given


FIELDS = {
    "logit_bias": "token-bias",
    "suppress_tokens": "suppress-token",
    "top_logprobs": "logprobs",
}
"""Options that are not named for their field."""


def by_option(said: str) -> str:
    """The error of a field of SamplingParams, with the option's name: "top_p=2: must be less than
    or equal to 1" becomes "--top-p 2: at most 1"."""
    found = re.fullmatch(r"(\w+)(?:\.[\w.\-]+)?=(.*?): must be (.*)", said, re.DOTALL)
    if found is None:
        return said
    limit = found[3].replace("greater than or equal to", "at least")
    limit = limit.replace("less than or equal to", "at most").replace("greater than", "more than")
    return f"--{FIELDS.get(found[1], found[1].replace('_', '-'))} {found[2]}: {limit}"


def _bias(text: str) -> dict[int, float]:
    found = {}
    for pair in text.split(","):
        token, _, bias = pair.partition("=")
        try:
            found[int(token)] = float(bias)
        except ValueError as error:
            raise argparse.ArgumentTypeError(
                f"{pair}: not ID=BIAS, such as 13=-1.5 or 2=-inf"
            ) from error
    return found


def _share(text: str) -> float:
    value = above_zero(text)
    if value > 1:
        raise argparse.ArgumentTypeError(f"{text}: at most 1")
    return value


def above_zero(text: str) -> float:
    """A number above 0, as an option's value."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: not a number") from None
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: a number above 0")
    return value
