"""Ray and Ray Serve: replicas by number, which Ray places, watches and starts again."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from typing import Any

from tramontane.errors import ConfigError, TramontaneError
from tramontane_plugin_server.settings import Settings

from .deploy_settings import DeploySettings, replica_settings

log = logging.getLogger(__name__)
INSTALL = "deploying needs Ray: pip install 'tramontane-plugin-ray[ray]'"
HEALTH = 2.0
"""Seconds between Ray's looks at a replica, which is started anew after three bad ones."""


class RayCluster:
    """Connects, or starts Ray on this machine. Raises TramontaneError."""

    def __init__(self, deploy: DeploySettings) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
            from ray import serve
        except ImportError as error:
            raise ConfigError(INSTALL) from error
        from .registry import Registry
        from .replica_actor import NAMESPACE

        self._ray: Any = ray
        self._serve: Any = serve
        self._deploy = deploy
        more: dict[str, Any] = {"address": deploy.cluster}
        if deploy.cluster is None:
            cores = max(os.cpu_count() or 1, deploy.cores() * deploy.most)
            more = {"address": "local", "num_cpus": cores, "include_dashboard": False,
                    "object_store_memory": 100 << 20}  # fmt: skip
        try:
            ray.init(namespace=NAMESPACE, logging_level=logging.WARNING, **more)
            logging.getLogger("ray.serve").setLevel(logging.WARNING)
            serve.start(proxy_location="Disabled", logging_config={"log_level": "WARNING"})
        except Exception as error:  # a start that takes too long is no other kind
            raise ConfigError(f"Ray does not start: {error}") from error
        self.registry_name = f"tramontane-replicas-{deploy.ray_name}"
        self._registry = (
            ray.remote(Registry)
            .options(name=self.registry_name, lifetime="detached", get_if_exists=True, num_cpus=0)
            .remote()
        )

    def start(self, settings: Settings, numbers: Iterable[int]) -> None:
        """Start the replicas of these numbers, together, and wait until they have loaded.

        Raises TramontaneError.
        """
        targets = [self._target(settings, number) for number in numbers]
        if not targets:
            return
        try:
            self._serve.run_many(targets)
        except RuntimeError as error:
            said = self._why([target.name for target in targets]) or error
            raise TramontaneError(f"the replicas do not start: {said}") from error

    def replace(self, settings: Settings, number: int) -> None:
        """Start a replica anew, once its answers have ended. Raises TramontaneError."""
        self.start(settings, [number])

    def end(self, numbers: Iterable[int]) -> None:
        """Stop replicas, once their answers have ended."""
        for number in numbers:
            self._serve.delete(self._name(number))

    def _name(self, number: int) -> str:
        return f"{self._deploy.ray_name}-{number}"

    def _target(self, settings: Settings, number: int) -> Any:
        """One replica is one application of Serve's: which is replaced or stopped is ours to say,
        and Serve gives every change a version that it replaces all replicas for."""
        deploy = self._deploy
        from .replica_actor import ReplicaActor

        deployment = self._serve.deployment(ReplicaActor).options(
            name="replica",
            num_replicas=1,
            ray_actor_options={"num_cpus": deploy.cores(), "num_gpus": deploy.gpus},
            health_check_period_s=HEALTH,
            health_check_timeout_s=30,
            graceful_shutdown_wait_loop_s=0.1,
            graceful_shutdown_timeout_s=settings.shutdown_timeout + 15,
            max_constructor_retry_count=2,
        )
        application = deployment.bind(
            replica_settings(settings, deploy).model_dump_json(), self.registry_name,
            os.getcwd(), local=deploy.cluster is None,
        )  # fmt: skip
        return self._serve.RunTarget(application, name=self._name(number), route_prefix=None)

    def listing(self) -> dict[str, str]:
        """The replicas by address, with their keys; those that have loaded.

        Raises TramontaneError.
        """
        try:
            found: dict[str, str] = self._ray.get(self._registry.listing.remote(), timeout=10)
        except self._ray.exceptions.RayError as error:
            raise TramontaneError(f"Ray does not say where the replicas are: {error}") from error
        return found

    def stop(self) -> None:
        """End the replicas; where Ray was started here, Ray too."""
        try:
            own = [name for name in self._serve.status().applications if self._is_own(name)]
            for name in own:
                self._serve.delete(name)
            self._ray.kill(self._registry)
            if self._deploy.cluster is None:
                self._serve.shutdown()
        finally:
            self._ray.shutdown()

    def _is_own(self, name: str) -> bool:
        before, _, number = name.rpartition("-")
        return before == self._deploy.ray_name and number.isdigit()

    def _why(self, names: Iterable[str]) -> str:
        """What Serve knows about replicas that do not start, without its traces."""
        applications = self._serve.status().applications
        for name in names:
            app = applications.get(name)
            for one in app.deployments.values() if app else ():
                said = [line for line in one.message.splitlines() if "RuntimeError: " in line]
                if said:
                    return str(said[-1].partition("RuntimeError: ")[2].strip())
        return ""
