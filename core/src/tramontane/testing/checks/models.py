"""What every model inside a distribution must be: there, and readable."""

from __future__ import annotations

from importlib.resources import as_file, files

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
