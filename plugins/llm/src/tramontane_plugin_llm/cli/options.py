"""Groups of options that subcommands share, with llm's names, and what they mean for us."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tramontane.cli.grammar import read_text
from tramontane.cli.options import above_zero
from tramontane.cli.parser import Parser, at_least
from tramontane.errors import RequestError, UsageError

from tramontane_plugin_llm.samplers import chain_of

from .main import FAMILIES, plain

if TYPE_CHECKING:
    from tramontane.sampling_params import SamplingParams

PLACE = "{{PROMPT}}"
SAMPLING = (
    ("--repeat-penalty", float, "repetition:penalty"), ("--temperature", float, "temperature"),
    ("--top-k", int, "top_k"), ("--top-p", float, "top_p"), ("--repeat-last-n", int, ""),
)  # fmt: skip
"""Options of before --sampler, and what they are there."""


def parser_of(program: str, about: str, **more: Any) -> Parser:
    """A subcommand's, which may give -v another meaning."""
    section = f"llm {program.rpartition(' ')[2]}"
    return Parser(program, section=section, description=about, conflict_handler="resolve", **more)


def add_model(parser: Parser, *, loads: bool = True) -> None:
    """-m, -a and the tokenizer; loads: and how to load them."""
    parser.add_argument(
        "-m", "--model-path", required=True, metavar="FILE",
        help="a model: a GGML, GGMF, GGJT or GGUF file, a folder, or org/name",
    )  # fmt: skip
    add_family_and_tokenizer(parser)
    if not loads:
        return
    parser.add_argument(
        "--num-ctx-tokens", type=at_least(1), metavar="N",
        help="context in tokens (default: 2048, or the model's, if that is less)",
    )  # fmt: skip
    parser.add_argument(
        "--lora-paths", nargs="*", default=[], metavar="PATH",
        help="LoRA adapters: GGLA or GGUF files, or folders as peft saves them",
    )  # fmt: skip
    parser.add_argument(
        "--gpu-layers", type=at_least(0), metavar="N",
        help="with --use-gpu: how many layers are on the device (default: all)",
    )  # fmt: skip
    group = parser.add_argument_group("loading")
    group.add_argument("--no-mmap", action="store_true", help="read the file instead of mapping it")
    group.add_argument(
        "--rope-freq-base", type=above_zero, metavar="BASE", help="base of the rotary embedding"
    )
    group.add_argument(
        "--rope-freq-scale", type=above_zero, metavar="X", help="scale of rotary positions"
    )
    group.add_argument(
        "--gqa", type=at_least(1), metavar="N",
        help="query heads to a head of keys and values, 8 of LLaMA 2 70B; its tensors say so too",
    )  # fmt: skip


def add_family_and_tokenizer(parser: Parser) -> None:
    parser.add_argument(
        "-a", "--model-architecture", type=family, metavar="NAME",
        help=f"{', '.join(FAMILIES)} (default: what the file's tensors show)",
    )  # fmt: skip
    parser.add_argument(
        "-v", "--tokenizer-path", type=Path, metavar="FILE",
        help="a tokenizer.json instead of the vocabulary in the file",
    )  # fmt: skip
    parser.add_argument(
        "-r", "--tokenizer-repository", metavar="ORG/NAME", help="one on the hub instead"
    )


def family(name: str) -> str:
    """A family as -a takes it."""
    if (found := plain(name)) not in FAMILIES:
        raise argparse.ArgumentTypeError(f"{name}: must be one of {', '.join(FAMILIES)}")
    return found


def add_prompt(parser: Parser, *, file_only: bool = False) -> None:
    if not file_only:
        parser.add_argument("-p", "--prompt", metavar="TEXT", help="the prompt")
    parser.add_argument(
        "-f", "--prompt-file", type=Path, metavar="FILE",
        help=f"a file with the prompt, in which {PLACE} is replaced",
    )  # fmt: skip


def add_generation(parser: Parser) -> None:
    parser.add_argument(
        "-t", "--num-threads", type=at_least(1), metavar="N",
        help="threads (default: physical cores)",
    )  # fmt: skip
    parser.add_argument(
        "-n", "--num-predict", type=at_least(0), metavar="N",
        help="tokens to generate at most (default: until the context is full)",
    )  # fmt: skip
    parser.add_argument(
        "--batch-size", type=at_least(1), default=512, metavar="N",
        help="tokens of the prompt that are computed at once (default: 512)",
    )  # fmt: skip
    parser.add_argument(
        "-s", "--sampler", action="append", default=[], metavar="TEXT",
        help="samplers, NAME:OPTION=VALUE:..., separated by spaces or /; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=at_least(0), metavar="N", help="the same seed gives the same tokens"
    )
    parser.add_argument(
        "--use-gpu", action="store_true", help="run on an accelerator, if there is one"
    )
    parser.add_argument(
        "--token-bias", type=_bias, default={}, metavar="ID=BIAS,...",
        help="add to the logits of tokens",
    )  # fmt: skip
    parser.add_argument("--ignore-eos", action="store_true", help="never generate the end token")
    group = parser.add_argument_group("keys and values, and options of older versions")
    kept = group.add_mutually_exclusive_group()
    kept.add_argument("--float16", action="store_true", help="keep keys and values as float16")
    kept.add_argument("--no-float16", action="store_true", help="keep them as float32")
    for name, kind, sampler in SAMPLING:
        said = f"--sampler {sampler}=X" if sampler else "--sampler repetition:last_n=N"
        group.add_argument(name, type=kind, metavar="X", help=f"as {said}")


def sampling(options: argparse.Namespace, ends: frozenset[int], **more: Any) -> SamplingParams:
    """ends: the end tokens, which --ignore-eos forbids. more: further fields."""
    from tramontane.sampling_params import SamplingParams

    bias = dict(options.token_bias)
    if options.ignore_eos:
        bias |= dict.fromkeys(ends, -math.inf)
    try:
        return SamplingParams(
            max_tokens=options.num_predict,
            seed=options.seed,
            logit_bias=bias or None,
            sampler=chain_of([*_older(options), *options.sampler]),
            **more,
        )
    except RequestError as error:
        raise UsageError(str(error)) from error


def _older(options: argparse.Namespace) -> list[str]:
    """--sampler of the options of before it. Raises UsageError."""
    found, repetition = [], []
    for name, _, sampler in SAMPLING:
        value = getattr(options, name[2:].replace("-", "_"))
        if value is None:
            continue
        if name.startswith("--repeat"):
            repetition.append(f"{'penalty' if sampler else 'last_n'}={value}")
        else:
            found.append(f"{sampler}:{value}")
        if any(plain(text).startswith(plain(sampler or "repetition")) for text in options.sampler):
            raise UsageError(f"{name} and --sampler say the same; give one")
    return found + ([":".join(["repetition", *repetition])] if repetition else [])


def prompt_of(options: argparse.Namespace) -> str:
    """-p, the file's text, or the file's with -p in its place. Raises RequestError, UsageError."""
    text: str | None = options.prompt
    if options.prompt_file is None:
        if text is None:
            raise UsageError("no prompt: give -p TEXT or -f FILE")
        return text
    template = read_text(options.prompt_file)
    return template if text is None else template.replace(PLACE, text)


def _bias(text: str) -> dict[int, float]:
    found = {}
    for pair in text.split(","):
        token, _, bias = pair.partition("=")
        try:
            found[int(token)] = float(bias)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"{pair!r}: not ID=BIAS, such as 1=-1.0,2=-1.0"
            ) from None
    return found
