"""Settings of a router."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from tramontane.errors import ConfigError
from tramontane.problems import first_problem
from tramontane_plugin_server.key_files import Key, keys_of
from tramontane_plugin_server.model_settings import Count, Seconds
from tramontane_plugin_server.settings import OpenPath

from .upstream import address_of


class RouterSettings(BaseModel):
    """Every field is an option of `tramontane route`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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
    host: str = Field("127.0.0.1", description="address to listen at; 0.0.0.0: all addresses")
    port: int = Field(1234, ge=0, le=65535, description="0: any free one")
    uds: Path | None = Field(None, description="listen at this Unix socket instead of a port")
    uds_mode: str = Field(
        "600", pattern="^0?[0-7]{3}$", description="permissions of the socket file, octal"
    )
    address_file: Path | None = Field(
        None, description="write the address there while it listens, for health checks"
    )
    api_key: tuple[str, ...] = Field((), description="a key that clients must send; repeatable")
    api_key_file: Path | None = Field(
        None, description="keys, one per line: KEY, or NAME: KEY and limits"
    )
    admin_key: tuple[str, ...] = Field(
        (), description="a key that may also load and unload models; repeatable"
    )
    admin_key_file: Path | None = Field(
        None, description="admin keys, in the form of --api-key-file"
    )
    open_path: tuple[OpenPath, ...] = Field(
        (), description="needs no key: /ready, /metrics, /docs or /openapi.json; repeatable"
    )
    allowed_host: tuple[str, ...] = Field(
        (), description="name that clients may call a server without keys by; repeatable"
    )
    cors_origin: tuple[str, ...] = Field(
        (), description="allow web pages of this origin (CORS); repeatable, *: all"
    )
    tls_cert: Path | None = Field(None, description="certificate chain, PEM")
    tls_key: Path | None = Field(None, description="private key of the certificate, PEM")
    max_body: Count = Field(8 << 20, description="bytes of a request's body")
    body_timeout: Seconds = Field(30.0, description="seconds for a body to arrive")
    send_timeout: Seconds = Field(60.0, description="seconds for a client to take what is sent")
    shutdown_timeout: Seconds = Field(
        30.0, description="seconds for running answers to finish at shutdown"
    )
    access_log: Literal["text", "json", "off"] = Field("text", description="log a line per request")
    metrics_by_key: bool = Field(
        False, description="count requests by the names of API keys in /metrics"
    )
    log_file: Path | None = Field(None, description="file for the log; default: stderr")

    @model_validator(mode="after")
    def _whole(self) -> RouterSettings:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key go together")
        return self

    def keys(self) -> frozenset[Key]:
        """All API keys, as options and files have them now. Raises ConfigError."""
        return _without_tokens(keys_of(self.api_key, self.api_key_file))

    def admin_keys(self) -> frozenset[Key]:
        """All admin keys likewise. Raises ConfigError."""
        return _without_tokens(keys_of(self.admin_key, self.admin_key_file))

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
        """Read what is named here and is needed at the start. Raises ConfigError."""
        self.keys()
        self.admin_keys()
        for name in ("tls_cert", "tls_key", "replica_ca"):
            path: Path | None = getattr(self, name)
            if path is not None and not path.is_file():
                raise ConfigError(f"{name}: there is no file {path}")


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
