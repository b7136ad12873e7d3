"""The codec beside Dia: where it is, and sounds and codes in windows of a bounded length."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tramontane.errors import ConfigError, ModelNotFound
from tramontane.hub.options import HubOptions
from tramontane.model.source import find_model
from tramontane.registry import Registry
from tramontane.tokenizer.json_file import read_if_there

from .config import DiaConfig
from .dac import Dac
from .dac_files import read_dac

FOLDER = "dac"
USUAL = "descript/dac_44khz"
WINDOW = 48
"""Frames that are decoded at once, about half a second: borders lie at multiples of it, so that the
samples are the same whether they are asked for as they are made or in the end."""
Samples = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int64]


class Codec:
    """Sounds to codes and back, on the processor or a card."""

    def __init__(self, model: Dac, device: torch.device, threads: int | None = None) -> None:
        self.model, self.device = model.to(device), device
        self.rate, self.hop = model.cfg.sampling_rate, model.cfg.hop
        self._threads = threads or _processors()

    def codes(self, samples: Samples) -> Generator[None, None, Codes]:
        """samples: (samples), filled up with silence to whole frames -> (frames, codebooks). It may
        be interrupted behind each window."""
        whole = np.pad(samples, (0, -len(samples) % self.hop))
        sound = torch.from_numpy(whole).to(self.device)
        found: list[Codes] = []
        for start, stop, before, after in windows(
            len(whole) // self.hop, self.model.cfg.encoder_reach
        ):
            if found:
                yield None
            with _threads(self._threads):
                codes = self.model.codes(sound[before * self.hop : after * self.hop])
            found.append(codes[start - before : stop - before].cpu().numpy())
        return np.concatenate(found)

    def sound(self, codes: Codes, before: int, after: int) -> Samples:
        """codes: (frames, codebooks), the first `before` and the last `after` only for what they do
        to those between -> samples of those."""
        with _threads(self._threads):
            made = self.model.sound(torch.from_numpy(codes).to(self.device))
        stop = (len(codes) - after) * self.hop
        return made[before * self.hop : stop].cpu().numpy()


def windows(count: int, reach: int) -> Iterator[tuple[int, int, int, int]]:
    """(start, stop, before, after): frames start to stop, for which before to after are looked
    at."""
    for start in range(0, count, WINDOW):
        stop = min(count, start + WINDOW)
        yield start, stop, max(0, start - reach), min(count, stop + reach)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """torch's threads while it does convolutions; a backend has left it one."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def find_codec(model: Path, registry: Registry, hub: HubOptions) -> Path:
    """The folder or file of the codec: `dac` beside the weights, a `weights_44khz_*.pth` there, or
    what `audio_tokenizer_config.json` names, of the hub. Raises ModelNotFound."""
    folder = model if model.is_dir() else model.parent
    if (folder / FOLDER).is_dir():
        return folder / FOLDER
    files = sorted(folder.glob("weights_44khz_*.pth"))
    if files:
        return files[0]
    told = read_if_there(folder / "audio_tokenizer_config.json")
    name = told.get("audio_tokenizer_name_or_path", USUAL)
    if not isinstance(name, str):
        raise ConfigError(f"{folder}: audio_tokenizer_name_or_path {name!r:.40} is no text")
    try:
        return find_model(name, registry, hub)
    except ModelNotFound as error:
        raise ModelNotFound(
            f"{model} has no codec: put the folder of {USUAL} into it as {FOLDER} ({error})"
        ) from error


def open_codec(path: Path, cfg: DiaConfig, device: torch.device, threads: int | None) -> Codec:
    """A codec that fits a model. Raises CheckpointError, ConfigError."""
    model = read_dac(path)
    of = model.cfg
    if of.n_codebooks != cfg.num_channels or of.codebook_size < cfg.eos_token_id:
        raise ConfigError(
            f"{path} has {of.n_codebooks} codebooks of {of.codebook_size}, and the model makes "
            f"{cfg.num_channels} codes below {cfg.eos_token_id}"
        )
    return Codec(model, device, threads)
