"""Where a fetch may go: hosts to addresses, and which of these are not for strangers to name."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Collection
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tramontane.errors import RequestError

PORTS = {"http": 80, "https": 443}
NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""An IPv4 address behind a gateway, in the last 32 bits."""
HOST_PART = re.compile(r"(?!-)[\w-]{1,63}(?<!-)")
IP = ipaddress.IPv4Address | ipaddress.IPv6Address


def refuse_host(name: Any) -> None:
    """Raises RequestError for what names no host, NAME or NAME:PORT."""
    try:
        parts = urlsplit(f"http://{name}/")
        plain = isinstance(name, str) and not set(name) & set("/?#@\\*%") and name.isprintable()
        host = parts.hostname or ""
        known = plain and parts.netloc == name and not any(map(str.isspace, name))
        fits = known and bool(host) and parts.port != 0 and not name.endswith(":")
        if fits and name.startswith("["):
            ipaddress.IPv6Address(host)
        elif fits:
            host.rstrip(".").encode("idna")
            fits = all(HOST_PART.fullmatch(part) for part in host.rstrip(".").split("."))
    except (ValueError, UnicodeError):
        fits = False
    if not fits:
        raise RequestError(
            f"{name!r:.60} names no host: give its name or address, HOST, or HOST:PORT "
            "(example.org, 10.0.0.7:8080, [::1])"
        )


class Target(NamedTuple):
    """A URL, looked at once. path: with the query, as it is sent. addresses: (family, sockaddr) as
    the socket module has them, all checked; connections are made to these and to no others."""

    scheme: str
    host: str
    port: int
    path: str
    addresses: tuple[tuple[int, Any], ...]

    @property
    def shown(self) -> str:
        """Host, and port where it is not the scheme's: as the header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


def target_of(
    url: str, hosts: Collection[str] = (), *, public: bool = True, anywhere: bool = False
) -> Target:
    """What a URL names, with its host resolved. hosts: those that may be reached whatever their
    addresses, as NAME or NAME:PORT. public: whether others may be, at the usual ports of public
    addresses. anywhere: no limits. Raises RequestError.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host = host.rstrip(".").encode("idna").decode() if ":" not in host else host
    except (ValueError, UnicodeError) as error:
        raise RequestError(f"{url:.80} is no URL: {error}") from error
    scheme = parts.scheme.lower()
    if scheme not in PORTS or not host or any(ord(char) <= 32 or ord(char) > 126 for char in url):
        raise RequestError(f"{url!r:.80} is no URL: http://HOST/PATH or https://HOST/PATH")
    if parts.username is not None:
        raise RequestError(f"the URL for {host} has a user's name: leave it out")
    port = PORTS[scheme] if port is None else port
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    named = {each.lower() for each in hosts}
    bracketed = f"[{host}]" if ":" in host else host
    free = anywhere or not named.isdisjoint({host, bracketed, f"{bracketed}:{port}"})
    if not free and not public:
        raise RequestError(f"{host} is none of the hosts that are fetched from")
    if not free and port not in PORTS.values():
        raise RequestError(f"port {port} of {host} is not fetched from: only 80 and 443 are")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise RequestError(f"there is no host {host}") from error
    if not free and not all(is_public(str(sockaddr[0])) for *_, sockaddr in found):
        raise RequestError(f"{host} is not at a public address, and is not fetched from")
    return Target(scheme, host, port, path, tuple((each[0], each[4]) for each in found))


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet's: not private, loopback, link-local, multicast,
    reserved or unspecified, nor one of IPv6 that stands for such an address of IPv4."""
    found: IP = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if found in NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if found.teredo is not None:
            return False
        if inner is not None:
            found = inner
    refused = (
        found.is_private, found.is_loopback, found.is_link_local, found.is_multicast,
        found.is_reserved, found.is_unspecified, not found.is_global,
    )  # fmt: skip
    return not any(refused)
