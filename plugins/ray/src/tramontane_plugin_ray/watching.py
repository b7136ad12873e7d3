"""What runs beside the router of a deployment: it asks Ray where the replicas are."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
import time
from collections.abc import Callable

from tramontane.errors import TramontaneError
from tramontane_plugin_router.app import Router
from tramontane_plugin_router.lifecycle import Background
from tramontane_plugin_server.settings import Settings
from tramontane_plugin_server.uvicorn_server import say

from .cluster import RayCluster
from .deploy_settings import DeploySettings
from .scaling import Scaling

log = logging.getLogger(__name__)
EVERY = 0.5
"""Seconds between looks."""


class Watching(Background):
    """settings: reads them again, for SIGHUP. cluster: connects; it is called in a thread."""

    loggers = ("tramontane_plugin_ray",)

    def __init__(
        self,
        settings: Callable[[], Settings],
        deploy: DeploySettings,
        cluster: Callable[[DeploySettings], RayCluster] = RayCluster,
    ) -> None:
        self._read, self._settings, self._connect = settings, settings(), cluster
        self._deploy = deploy
        self._scaling = Scaling(
            deploy.replicas, deploy.most, deploy.scale_at, deploy.scale_down_after
        )
        self._cluster: RayCluster | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._wake = asyncio.Event()
        self._count = 0
        self._renew = False

    async def start(self, router: Router) -> None:
        """Connect and begin; the replicas come later."""
        say(
            f"starting {self._deploy.replicas} replicas on {self._deploy.cluster or 'this machine'}"
        )
        self._cluster = await asyncio.to_thread(self._connect, self._deploy)
        _take_signals_back()
        self._tasks = [asyncio.create_task(self._watch(router, self._cluster))]
        await self._scale(self._cluster)
        await self._look(router, self._cluster)
        self._tasks.append(asyncio.create_task(self._follow(self._cluster)))

    async def reload(self, router: Router) -> None:
        """Replace all replicas, one after the other, with the settings as files have them now."""
        self._settings = self._read()
        self._renew = True
        self._wake.set()

    async def stop(self, router: Router) -> None:
        """End the replicas."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._cluster is not None:
            await asyncio.to_thread(self._cluster.stop)

    async def _scale(self, cluster: RayCluster) -> None:
        """As many replicas as are wanted. Raises TramontaneError."""
        wanted, there = self._scaling.wanted, self._count
        if wanted > there:
            await asyncio.to_thread(cluster.start, self._settings, range(there, wanted))
        elif wanted < there:
            await asyncio.to_thread(cluster.end, range(wanted, there))
        self._count = wanted

    async def _replace(self, cluster: RayCluster) -> None:
        """Raises TramontaneError; then those that follow go on as they are."""
        for number in range(self._count):
            await asyncio.to_thread(cluster.replace, self._settings, number)
            log.warning("replica %d of %d was replaced", number + 1, self._count)

    async def _watch(self, router: Router, cluster: RayCluster) -> None:
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self._look(router, cluster)
            except TramontaneError as error:
                log.error("%s", error)
            running = sum(one.running for one in router.replicas)
            before = self._scaling.wanted
            if (wanted := self._scaling.look(running, time.monotonic())) != before:
                log.warning("%d requests run: %d replicas, not %d", running, wanted, before)
                self._wake.set()

    async def _follow(self, cluster: RayCluster) -> None:
        """One change at a time."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._scale(cluster)
                if self._renew:
                    self._renew = False
                    await self._replace(cluster)
            except TramontaneError as error:
                log.error("%s", error)

    async def _look(self, router: Router, cluster: RayCluster) -> None:
        found = await asyncio.to_thread(cluster.listing)
        if found != {one.url: one.key for one in router.replicas}:
            router.set_replicas(dict(found))


def _take_signals_back() -> None:
    """Ray handles SIGTERM too, and aborts the process three seconds later."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.getsignal(number))
