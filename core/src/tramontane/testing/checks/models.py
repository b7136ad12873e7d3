"""What every model inside a distribution must be: there, and readable."""

from __future__ import annotations

from importlib.resources import as_file, files

from tramontane import LLM, SamplingParams
from tramontane.checkpoint.open import open_checkpoint
from tramontane.plugin import Model
from tramontane.registry import Registry


def test_the_file_is_in_the_package(offer: Model) -> None:
    package, colon, resource = offer.file.partition(":")
    assert colon, f'file={offer.file!r} must be "package:resource"'
    found = files(package).joinpath(resource)
    assert found.is_file() or found.is_dir(), f"{package} has no {resource}: is it in the wheel?"


def test_the_summary_is_one_line(offer: Model) -> None:
    assert offer.summary.strip() == offer.summary != "", "summary= is what listings say"
    assert "\n" not in offer.summary


def test_it_opens(offer: Model) -> None:
    package, _, resource = offer.file.partition(":")
    with as_file(files(package).joinpath(resource)) as path:
        checkpoint = open_checkpoint(path, Registry())
        header = checkpoint.header
        assert header.architecture, "its header names no architecture"
        assert header.tensors, "its header names no tensors"
        for name in header.tensors:
            checkpoint.read(name)
        checkpoint.close()


def test_it_answers_with_a_token(offer: Model) -> None:
    package, _, resource = offer.file.partition(":")
    one = SamplingParams(temperature=0, max_tokens=1, ignore_eos=True)
    with (
        as_file(files(package).joinpath(resource)) as path,
        LLM(path, device="reference", num_ctx=64) as llm,
    ):
        answer = llm.generate("Hello", one)
        assert len(answer.token_ids) == 1, f"{offer.name} answers with {answer.token_ids}"
        assert llm.inner.tokenizer.decode(answer.token_ids, skip_special=False)
