"""Settings of a router."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError
from tramontane.errors import ConfigError
from tramontane.problems import first_problem
from tramontane_plugin_server.http_settings import HttpSettings
from tramontane_plugin_server.key_files import Key, keys_of
from tramontane_plugin_server.model_settings import Count, Seconds

from .upstream import address_of


class RouterSettings(HttpSettings):
    """Every field is an option of `tramontane route`."""

    to: tuple[str, ...] = Field(
        (), description="a replica: http://HOST:PORT, https://HOST:PORT or unix:PATH; repeatable"
    )
    replicas_file: Path | None = Field(
        None, description="replicas, one per line; read again on SIGHUP"
    )
    replica_key_file: Path | None = Field(
        None, description="the key to send to replicas: an admin key of theirs"
    )
    replica_ca: Path | None = Field(
        None, description="CA certificates for https: replicas, PEM; default: the system's"
    )
    busy: Count = Field(
        32, description="requests at a replica from which on it counts as busy: its --max-seqs"
    )
    check_interval: Seconds = Field(1.0, description="seconds between health checks")
    stall_timeout: Seconds = Field(
        30.0, description="seconds without an answer to them until a replica is given up"
    )
    patience: Seconds = Field(10.0, description="seconds to wait for a replica if there is none")

    def keys(self) -> frozenset[Key]:
        return _without_tokens(super().keys())

    def admin_keys(self) -> frozenset[Key]:
        return _without_tokens(super().admin_keys())

    def replicas(self) -> dict[str, str | None]:
        """The replicas as options and the file have them now, with their keys.

        Raises ConfigError.
        """
        found = list(self.to)
        if self.replicas_file is not None:
            try:
                lines = self.replicas_file.read_text("utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"cannot read {self.replicas_file}: {error}") from error
            found += [line.strip() for line in lines if line.strip()[:1] not in ("", "#")]
        for url in found:
            address_of(url)
        key = self._replica_key()
        return dict.fromkeys((url.rstrip("/") for url in found), key)

    def _replica_key(self) -> str | None:
        if self.replica_key_file is None:
            return None
        keys = keys_of((), self.replica_key_file)
        if len(keys) != 1:
            raise ConfigError(f"{self.replica_key_file} has {len(keys)} keys: replicas take one")
        return next(iter(keys)).value

    def check(self) -> None:
        super().check()
        self._check_files("replica_ca")


def settings_of(given: dict[str, object]) -> RouterSettings:
    """Checked. Raises ConfigError."""
    try:
        return RouterSettings.model_validate(given)
    except ValidationError as error:
        problem = first_problem(error.errors(), given)
        if not problem.path:
            raise ConfigError(problem.words) from error
        name = "--" + str(problem.path[0]).replace("_", "-")
        raise ConfigError(problem.about(name)) from error


def _without_tokens(keys: frozenset[Key]) -> frozenset[Key]:
    for key in keys:
        if key.tokens_per_minute is not None:
            raise ConfigError(
                f"the key named {key.name!r} has tokens_per_minute, which the router does not "
                "count: leave it out here; replicas that are given the key themselves count it"
            )
    return keys
