"""This process among the ranks of a model: it begins the others, meets them, and tells them."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tramontane.checkpoint.load_options import LoadOptions
from tramontane.errors import ConfigError
from tramontane.hub.options import HubOptions
from tramontane.system.cores import allowed_cores

from .children import PATIENCE, Children, explained
from .follower import follow
from .group import PeerLost
from .joining import agree, connect
from .late_group import LateGroup
from .leader import Leader
from .ranks import Ranks
from .spec import Spec

if TYPE_CHECKING:
    from tramontane.blocks import CausalLM
    from tramontane.checkpoint.load import Loaded
    from tramontane.engine.kv_cache import KVCache


class Team:
    """ranks: which this process is. path, name, options, hub: of the model. Begins the other ranks
    of this machine, which then load."""

    def __init__(
        self, ranks: Ranks, path: Path, name: str, options: LoadOptions, hub: HubOptions
    ) -> None:
        refuse(options)
        self.ranks = ranks
        self.options = shared_options(options, ranks)
        self._folder: Path | None = None
        file, port, secret = None, ranks.port, b""
        if not ranks.address:
            port, secret = free_port(), os.urandom(32)
            self._folder = Path(tempfile.mkdtemp(prefix="tramontane-ranks-"))
            file = self._folder / "meeting"
        self.group = LateGroup(ranks.rank, ranks.size, ranks.weights)
        self._spec = Spec(
            rank=ranks.rank, size=ranks.size, local=ranks.local, path=path, name=name,
            options=of_rank(self.options, 0), hub=hub, address=ranks.address, port=port,
            file=file, interconnect=ranks.interconnect, meeting=ranks.meeting,
            weights=ranks.weights, secret=secret,
        )  # fmt: skip
        self._leader: Leader | None = None
        others = [
            replace(self._spec, rank=ranks.rank + index, options=of_rank(self.options, index))
            for index in range(1, ranks.local)
        ]
        self._children = Children(others)

    def meet(self, loaded: Loaded) -> Loaded:
        """Join the group; returns the model with the context that all have room for.

        Raises RankFailed where a rank could not load, PeerLost, ConfigError for another model."""
        self._children.loaded()
        self._children.meet()
        self.group.meet(connect(self._spec, loaded.device.torch_device))
        return agree(self.group, loaded)

    def follow(self, loaded: Loaded) -> NoReturn:
        """Of another rank than 0: compute with it until it ends, and then end this process."""
        try:
            follow(self.group, loaded)
        finally:
            self.close()
        raise SystemExit(0)

    def lead(self, model: CausalLM, cache: KVCache) -> None:
        """Of rank 0: tell the others each step from now on."""
        limit = self.options.tp_timeout
        self._leader = Leader(self.group, model, cache, limit, self.explained)

    def explained(self, error: PeerLost) -> PeerLost:
        """With what this machine knows of the ranks that it began."""
        return PeerLost(explained(error, self._children))

    @property
    def lost(self) -> str:
        """Why the ranks compute nothing any more; empty: they do."""
        why = "" if self._leader is None else self._leader.why
        return f"{why}; the model has to be loaded again" if why else ""

    @property
    def pids(self) -> dict[int, int]:
        """Process numbers of the ranks that this process began."""
        return self._children.pids

    def close(self) -> None:
        """End the other ranks; those of other machines see it."""
        if self._leader is not None:
            self._leader.close()
        self.group.close()
        self._children.close(0.0 if self.lost else PATIENCE)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def free_port() -> int:
    """One of this machine that nothing listens at now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def refuse(options: LoadOptions) -> None:
    """Raises ConfigError for options that ranks do not have together."""
    placed = {
        "--gpu-layers": options.gpu_layers, "--device-map": options.device_map,
        "--n-cpu-moe": options.n_cpu_moe, "--topology": options.topology,
    }  # fmt: skip
    for name, value in placed.items():
        if value is not None:
            raise ConfigError(f"{name} and --tp both say where a model is; keep one")


def shared_options(options: LoadOptions, ranks: Ranks) -> LoadOptions:
    """With a machine's threads and memory divided among its ranks."""
    threads = options.threads
    if threads is None and ranks.local > 1:
        threads = max(1, allowed_cores() // ranks.local)
    return replace(options, threads=threads, tp=ranks.size, tp_nodes=None, tp_local=ranks.local)


def of_rank(options: LoadOptions, index: int) -> LoadOptions:
    """Of the ranks of a machine, the one with this number: with a card of its own."""
    name, _, number = options.device.partition(":")
    if name != "cuda" or number:
        return options
    return replace(options, device=f"cuda:{index}")
