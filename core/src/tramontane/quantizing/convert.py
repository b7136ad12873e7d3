"""`tramontane quantize`: from a model to a quantized folder or container, whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

from torch import Tensor

from tramontane.checkpoint.build import Built
from tramontane.checkpoint.load_options import Progress, QuantizedReport
from tramontane.errors import PluginNotInstalled, RequestError, TramontaneError, UsageError
from tramontane.memory import readable
from tramontane.plugin import Quantizer
from tramontane.registry import Registry

from .choices import Asked, Choices, choose, types_stored
from .choose_kind import kernels_of
from .identity import identity_of
from .importance import refuse_unused
from .in_place import report_of
from .kinds import Kind, find_kind, installed_kinds, listed
from .make_layer import settings
from .partial import Partial
from .source import QuantizeSource
from .write_folder import write_container, write_folder

SPARE = 64 << 20
"""Bytes to leave free on the disk."""


@dataclass(frozen=True)
class Written:
    """What was written. bytes: of all files. note: whether it went on where an earlier run was
    interrupted, or why not; empty if there was none."""

    path: Path
    report: QuantizedReport
    bytes: int
    note: str = ""


def convert(
    built: Built,
    registry: Registry,
    asked: Asked,
    out: Path,
    *,
    folder: Path | None,
    importance: Mapping[str, Tensor],
    force: bool,
    progress: Progress,
) -> Written:
    """Write a model quantized. folder: of the source's config.json and tokenizer, if it is one.

    Raises RequestError, UsageError, PluginError, CheckpointError.
    """
    _refuse_to_replace(built.checkpoint.header.path, out, force=force)
    offer = _container(out, registry)
    kinds = {
        name: kind
        for name, kind in installed_kinds(registry).items()
        if (kind.offer.name == offer.name if offer else kind.offer.encode and kind.offer.settings)
    }
    if not kinds and offer is None:
        raise PluginNotInstalled(
            "nothing installed writes quantized folders", hint=listed(installed_kinds(registry))
        )
    text = "" if asked.isq is None else str(asked.isq)
    try:
        choices = _chosen(built, asked, kinds)
    except PluginNotInstalled:
        if offer is None:
            _refuse_other_forms(text, kinds, registry)
            raise
        choices = Choices()  # a mixture that the container knows, or refuses
    if offer is None:
        _in_one_format(choices)
    refuse_unused(importance, choices.kinds.values())
    named = _by_tensor(built, choices) if offer is None else {}
    if offer is None and not named:
        raise RequestError(f"nothing in {built.checkpoint.header.path} can become {asked}")
    source = QuantizeSource(
        built.checkpoint,
        folder,
        named or _by_tensor(built, _apart(choices)),
        _importances(built, importance),
        measured=importance,
        built=built,
        registry=registry,
    )
    _refuse_a_full_disk(source, out)
    identity = identity_of(source, (str(out.absolute()), offer.name if offer else "", text))
    with _whole(out, identity) as partial:
        source = replace(source, partial=partial)
        if offer is not None:
            assert offer.write is not None
            kind = next(iter(choices.kinds.values())).name if text.isdigit() else text
            write_container(source, partial.path, offer.write, kind, progress)
        else:
            partial.path.mkdir(exist_ok=True)
            write_folder(source, partial.path, progress)
    files = [out] if out.is_file() else [file for file in out.rglob("*") if file.is_file()]
    if offer is None:
        size = sum(kind.nbytes(_count(source, name)) for name, kind in source.kinds.items())
    else:
        size = sum(kind.nbytes(prod(built.wanted[p].shape)) for p, kind in choices.kinds.items())
    report = report_of(str(asked), choices, size)
    return Written(out, report, sum(file.stat().st_size for file in files), partial.note)


def _container(out: Path, registry: Registry) -> Quantizer | None:
    """The container that a path names by its ending; None: a folder."""
    offers = {offer.name: offer for offer in registry.all(Quantizer) if offer.open is not None}
    offer = offers.get(out.suffix.removeprefix(".").lower())
    if offer is not None and offer.write is None:
        raise UsageError(f"{out}: the installed plugin for {offer.name} reads such files only")
    return offer


def _refuse_other_forms(name: str, kinds: dict[str, Kind], registry: Registry) -> None:
    """Raise UsageError for a kind that is made while loading only, or of a container's file."""
    try:
        kind = find_kind(name, installed_kinds(registry))
    except (PluginNotInstalled, UsageError):
        return
    file = f"; {kind.offer.name} files have it" if kind.offer.write else ""
    raise UsageError(f"{name}: a folder cannot have this kind{file}; {listed(kinds)}")


def _in_one_format(choices: Choices) -> None:
    """Where a format has one kind for a whole model, what would have another stays as it is.

    Raises UsageError where that is not enough.
    """
    if len({kind.offer.name for kind in choices.kinds.values()}) != 1:
        return  # nothing, or formats that are not mixed, which is told when it is written
    try:
        _settings(choices)
    except ValueError:
        for path in {*choices.promoted, *choices.instead} & choices.kinds.keys():
            kind = choices.kinds.pop(path)
            choices.left[path] = f"{kind.offer.name} has one kind for a whole model"
        choices.promoted.clear()
        choices.instead.clear()
        try:
            _settings(choices)
        except ValueError as error:
            raise UsageError(str(error)) from error


def _settings(choices: Choices) -> None:
    first = next(iter(choices.kinds.values()), None)
    if first is not None:
        settings(first, {path: kind.name for path, kind in choices.kinds.items()})


def _chosen(built: Built, asked: Asked, kinds: dict[str, Kind]) -> Choices:
    stored = types_stored(built.checkpoint.header, built.sources)
    return choose(asked, built.wanted, stored, built.model, kinds, kernels_of(None))


def _by_tensor(built: Built, choices: Choices) -> dict[str, Kind]:
    """The kinds of tensors as they are stored; those that cannot be layers of their own stay, and
    `choices` says so."""
    users: dict[str, list[str]] = {}
    for path, source in built.sources.items():
        for tensor in source.tensors:
            users.setdefault(tensor, []).append(path)
    found = {}
    for tensor, paths in users.items():
        given = [choices.kinds[path] for path in paths if path in choices.kinds]
        if not given:
            continue
        shape = built.checkpoint.header.tensors[tensor].shape
        columns = built.wanted[paths[0]].shape[-1]
        why = ""
        if len(given) < len(paths):
            why = "is in one tensor with what stays"
        elif len(shape) != 2 or not tensor.endswith(".weight"):
            why = "is in one tensor with others"
        elif shape[1] != columns:
            why = "is stored with rows as columns"
        if why:
            for path in paths:
                choices.kinds.pop(path, None)
                choices.promoted.pop(path, None)
                choices.instead.pop(path, None)
                choices.left[path] = why
            continue
        found[tensor] = max(given, key=lambda kind: kind.bits)
    return found


def _apart(choices: Choices) -> Choices:
    """A copy, for a container, which may write what is one tensor with others."""
    return Choices(*(dict(each) for each in vars(choices).values()))


def _importances(built: Built, importance: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """By the tensors' names: each expert's own, where it has a tensor of its own."""
    found: dict[str, Tensor] = {}
    for path, source in built.sources.items():
        given = importance.get(path.removesuffix(".weight"))
        if given is None:
            continue
        for index, tensor in enumerate(source.tensors):
            several = given.ndim == 2 and len(given) == len(source.tensors)
            found.setdefault(tensor, given[index] if several else given)
    return found


def _count(source: QuantizeSource, name: str) -> int:
    return prod(source.header.tensors[name].shape)


def _refuse_to_replace(source: Path, out: Path, *, force: bool) -> None:
    """What is there stays, without --force; the model itself, and folders of other things, always
    do."""
    if not out.exists():
        return
    if source.resolve().is_relative_to(out.resolve()):
        raise RequestError(f"{out} is the model that is read, or holds it; give another path")
    if not force:
        raise RequestError(f"{out} is there already; --force replaces it")
    if out.is_dir() and any(out.iterdir()) and not (out / "config.json").exists():
        raise RequestError(f"{out} is a folder, and no model's; give another path, or empty it")


def _refuse_a_full_disk(source: QuantizeSource, out: Path) -> None:
    need = sum(
        source.kinds[name].nbytes(_count(source, name)) if name in source.kinds else info.nbytes
        for name, info in source.header.tensors.items()
    )
    above = next(path for path in out.absolute().parents if path.exists())
    free = shutil.disk_usage(above).free + _size(out.with_name(f"{out.name}.part"))
    if need + SPARE > free:
        raise RequestError(
            f"{out} needs about {readable(need)}, and {readable(free)} are free on its disk"
        )


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


@contextmanager
def _whole(out: Path, identity: str) -> Iterator[Partial]:
    """What to write to, which becomes `out` if all goes well. An interruption and a full disk leave
    it for the next time; a model that cannot be written leaves nothing."""
    before = out.with_name(f"{out.name}.old-{os.getpid()}")
    partial, keep = None, False
    try:
        partial = Partial(out, identity)
        keep = True
        yield partial
        if out.exists():
            out.rename(before)
        partial.path.rename(out)
    except OSError as error:
        kept = partial is not None and partial.state
        more = "; what is done is kept, and the same command goes on from there" if kept else ""
        raise RequestError(f"cannot write {out}: {error.strerror or error}{more}") from error
    except TramontaneError:
        keep = False
        raise
    finally:
        if before.exists() and not out.exists():
            before.rename(out)
        if before.is_dir():
            shutil.rmtree(before)
        else:
            before.unlink(missing_ok=True)
        if partial is not None:
            partial.close(keep=keep and partial.path.exists())


def summary(written: Written) -> list[str]:
    """For people: what became of how many matrices."""
    made = Counter(written.report.kinds)
    first, *more = written.report.lines()
    if not made:
        first, more = f"quantized to {written.report.asked}", []
    note = [written.note] if written.note else []
    return [f"{written.path}: {readable(written.bytes)}", *note, first, *more]
