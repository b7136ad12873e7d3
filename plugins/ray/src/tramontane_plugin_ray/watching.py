"""What runs beside the router of a deployment: it asks Ray where the replicas are."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from tramontane.errors import TramontaneError
from tramontane_plugin_router.app import Router
from tramontane_plugin_router.lifecycle import Background, say
from tramontane_plugin_server.settings import Settings

from .cluster import RayCluster
from .deploy_settings import DeploySettings
from .scaling import Scaling

log = logging.getLogger(__name__)
EVERY = 0.5
"""Seconds between looks."""


class Watching(Background):
    """settings: reads them again, for SIGHUP. cluster: connects; it is called in a thread."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        deploy: DeploySettings,
        cluster: Callable[[DeploySettings], RayCluster] = RayCluster,
    ) -> None:
        self._read, self._settings, self._connect = settings, settings(), cluster
        self._deploy = deploy
        self._generation = 0
        self._scaling = Scaling(
            deploy.replicas, deploy.most, deploy.scale_at, deploy.scale_down_after
        )
        self._cluster: RayCluster | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._wake = asyncio.Event()
        self._count = deploy.replicas
        self.failed = ""

    async def start(self, router: Router) -> None:
        """Connect and begin; the replicas come later."""
        say(
            f"starting {self._deploy.replicas} replicas on {self._deploy.cluster or 'this machine'}"
        )
        self._cluster = await asyncio.to_thread(self._connect, self._deploy)
        await self._run(self._cluster)
        await self._look(router, self._cluster)
        self._tasks = [
            asyncio.create_task(self._watch(router, self._cluster)),
            asyncio.create_task(self._follow(self._cluster)),
        ]

    async def reload(self, router: Router) -> None:
        """Replace all replicas, one after the other, with the settings as files have them now."""
        self._settings = self._read()
        self._generation += 1
        self._wake.set()

    async def stop(self, router: Router) -> None:
        """End the replicas."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._cluster is not None:
            await asyncio.to_thread(self._cluster.stop)

    async def _run(self, cluster: RayCluster) -> None:
        await asyncio.to_thread(cluster.run, self._settings, self._count, self._generation)

    async def _watch(self, router: Router, cluster: RayCluster) -> None:
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self._look(router, cluster)
            except TramontaneError as error:
                log.error("%s", error)
            running = sum(one.running for one in router.replicas)
            wanted = self._scaling.look(running, time.monotonic())
            if wanted != self._count:
                log.warning(
                    "%d requests are being answered: %d replicas instead of %d",
                    running, wanted, self._count,
                )  # fmt: skip
                self._count = wanted
                self._wake.set()

    async def _follow(self, cluster: RayCluster) -> None:
        """One change at a time; those that come meanwhile are made together."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._run(cluster)
                log.warning("%d replicas run, of generation %d", self._count, self._generation)
            except TramontaneError as error:
                log.error("%s; the previous replicas go on", error)

    async def _look(self, router: Router, cluster: RayCluster) -> None:
        found = await asyncio.to_thread(cluster.listing)
        if found != {one.url: one.key for one in router.replicas}:
            router.set_replicas(dict(found))
