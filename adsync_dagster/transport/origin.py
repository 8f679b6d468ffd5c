"""Which address may be spoken to: one https origin, or plain http on this machine.

A token must neither cross a network in clear nor reach a host nobody named. So the base URL
is checked once, the path of every request is checked against it, and a name that resolves to
a private address is refused unless the operator wrote that address itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from adsync_dagster.errors import Blocked, Defect, UsageError

_LOOPBACK_NAMES = frozenset({"localhost"})
_BASE = re.compile(r"https?://[A-Za-z0-9.\-]+(:\d{1,5})?(/[A-Za-z0-9._~/\-]*)?", re.ASCII)
_BASE_IPV6 = re.compile(r"https?://\[[0-9A-Fa-f:.]+\](:\d{1,5})?(/[A-Za-z0-9._~/\-]*)?", re.ASCII)
_PATH = re.compile(r"/[A-Za-z0-9._~:@/\-]*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A checked base URL."""

    #: Without a slash at its end.
    base: str
    host: str
    is_loopback: bool
    #: The operator wrote an address, so a private one is meant.
    is_address: bool

    def url(self, path: str) -> str:
        """The URL of a request's path; Defect when the path could lead elsewhere."""
        if not _PATH.fullmatch(path) or ".." in path:
            raise Defect(f"{path[:80]!r} is not the path of a request")
        return self.base + path

    def refuse_peer(self, address: str) -> None:
        """Blocked when the connected address is not one this origin may have."""
        peer = ip_address(address.partition("%")[0])
        if isinstance(peer, IPv6Address) and peer.ipv4_mapped is not None:
            peer = peer.ipv4_mapped
        meant = peer.is_loopback if self.is_loopback else self.is_address or peer.is_global
        if not meant:
            raise Blocked(
                f"{self.host} leads to a private address; check the name server, or write the"
                " address itself into the base URL if it is meant"
            )


def parse_origin(text: str) -> Origin:
    """The origin of a base URL; UsageError when a token would not be safe there."""
    if not (_BASE.fullmatch(text) or _BASE_IPV6.fullmatch(text)):
        raise UsageError("a base URL must look like https://host or https://host:port/path")
    parts = urlsplit(text)
    host = (parts.hostname or "").lower()
    try:
        port_is_valid = parts.port != 0
    except ValueError:
        port_is_valid = False
    if not host or not port_is_valid:
        raise UsageError("a base URL must look like https://host or https://host:port/path")
    address = _address(host)
    is_loopback = host in _LOOPBACK_NAMES or (address is not None and address.is_loopback)
    if parts.scheme == "http" and not is_loopback:
        raise UsageError(f"the base URL of {host} must be https: a token is sent there")
    return Origin(
        base=text.rstrip("/"), host=host, is_loopback=is_loopback, is_address=address is not None
    )


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
