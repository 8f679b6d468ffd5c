"""The bounds of the transport. Reaching one raises; nothing is cut silently."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportLimits:
    """Bounds of one exchange and of one read."""

    connect_seconds: float = 10.0
    #: Silence on an open connection.
    read_seconds: float = 60.0
    #: One exchange as a whole, however steadily bytes trickle in.
    request_seconds: float = 300.0
    #: One read as a whole, waiting included.
    total_seconds: float = 7200.0
    #: Decoded bytes of one answer. More is TooMuchData: the adapter asks for less at a time.
    response_bytes_max: int = 64 * 1024 * 1024
    #: Decoded bytes of an answer that is taken element by element; each element by itself has
    #: to keep to `response_bytes_max`.
    stream_bytes_max: int = 2 * 1024 * 1024 * 1024
    requests_per_read_max: int = 20_000
    #: Tries of one request before its error is raised in the read.
    attempts_max: int = 5
    backoff_seconds: float = 1.0
    backoff_seconds_max: float = 30.0
    #: A wait the platform asks for is kept up to here; a longer one ends the read with
    #: PlatformBusy, so that the worker is free meanwhile.
    wait_seconds_max: float = 60.0
    #: No platform's wish is believed beyond this.
    retry_after_seconds_max: float = 21_600.0
    #: Send the next request while the rows of the last one are being stored.
    read_ahead: bool = True


DEFAULT_LIMITS = TransportLimits()
