"""`tramontane perplexity`: how well a model predicts a text."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from tramontane.errors import RequestError, UsageError

from .options import add_model, add_threads, open_llm
from .parser import Parser, at_least
from .progress import Loading

if TYPE_CHECKING:
    from tramontane.llm import LLM

SUMMARY = """\
Perplexity of a text, in windows of the context length. Tokens that an earlier window has scored are
not counted again."""


def run(argv: list[str]) -> int:
    """Print exp(mean negative log-likelihood) per token."""
    parser = Parser("tramontane perplexity", description=SUMMARY)
    parser.add_argument("text", nargs="?", type=Path, metavar="FILE", help="a UTF-8 text")
    parser.add_argument(
        "-f",
        "--file",
        type=Path,
        metavar="FILE",
        help="the text as an option; the argument is then MODEL",
    )
    parser.add_argument(
        "--stride",
        type=at_least(1),
        metavar="N",
        help="tokens between windows; default: the window",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print a JSON object instead")
    add_model(parser)
    add_threads(parser)
    options = parser.parse_args(argv)
    if options.file is not None and options.text is not None:
        parser.set_model(options, options.text)
    elif options.file is None and options.text is None:
        raise UsageError("name a text to score: tramontane perplexity FILE")
    file = options.file or options.text
    try:
        text = file.read_text("utf-8")
    except OSError as error:
        raise RequestError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RequestError(f"{file} is not UTF-8 at byte {error.start}") from error
    with open_llm(options) as llm:
        window = llm.context_length
        stride = options.stride or window
        if not 1 <= stride <= window:
            raise RequestError(f"--stride {stride} is not from 1 to the context, {window}")
        tokens = llm.tokenize(text)
        if len(tokens) < 2:
            raise RequestError(f"{file} has {len(tokens)} tokens; at least 2 are needed")
        total, count = measure(llm, tokens, window, stride)
    value = math.exp(-total / count)
    if options.json:
        print(
            json.dumps({"perplexity": value, "tokens": count, "window": window, "stride": stride})
        )
    else:
        print(f"perplexity {value:.4f} over {count} tokens, windows of {window}, stride {stride}")
    return 0


def measure(llm: LLM, tokens: list[int], window: int, stride: int) -> tuple[float, int]:
    """Sum of log-probabilities, and of how many tokens."""
    from tramontane.engine.request import Finished, Request
    from tramontane.sampling_params import SamplingParams

    total, count, scored = 0.0, 0, 1
    with Loading("scoring") as progress:
        for start in range(0, len(tokens), stride):
            part = tuple(tokens[start : start + window])
            if start + len(part) <= scored or len(part) < 2:
                break
            request = Request(prompt=part, params=SamplingParams(max_tokens=0), score_prompt=True)
            *_, last = llm.stream(request)
            assert isinstance(last, Finished)
            if last.result.error is not None:
                raise RequestError(last.result.error)
            # entry i is of token start + i + 1
            fresh = (last.result.prompt_logprobs or ())[max(0, scored - start - 1) :]
            total += sum(entry.logprob for entry in fresh)
            count += len(fresh)
            scored = start + len(part)
            progress(scored, len(tokens))
            if scored >= len(tokens):
                break
    return total, count
