"""One POST of JSON to a webhook, whose URL is itself the credential.

The same sessions as for the platforms: no redirects, no proxies or netrc from the environment,
certificates verified, bounded in time and size. Unlike a platform's, a webhook's host may lead
to a private address (a chat server of one's own), because the operator wrote it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests

from adsync_dagster import __version__
from adsync_dagster.errors import AdsyncError, Blocked, Defect, Retryable
from adsync_dagster.transport.exchange import FAILURES, Session, translate
from adsync_dagster.transport.limits import TransportLimits
from adsync_dagster.transport.origin import parse_origin

LIMITS = TransportLimits(
    connect_seconds=5.0, read_seconds=10.0, request_seconds=15.0, response_bytes_max=64 * 1024
)


def post_json(url: str, payload: Any, limits: TransportLimits = LIMITS) -> None:
    """Post the payload; returns when the receiver answered 2xx.

    Retryable or Blocked otherwise. No message holds the URL, its path or the answer's body.
    """
    parts = urlsplit(url)
    origin = replace(parse_origin(f"{parts.scheme}://{parts.netloc}"), is_address=True)
    prepared = requests.Request(
        "POST",
        url,
        data=orjson.dumps(payload),
        headers={
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"adsync-dagster/{__version__}",
        },
    ).prepare()
    session = Session(origin)
    failure: AdsyncError | None = None
    status = 0
    try:
        status = session.send(prepared, limits).status
    except FAILURES as error:
        failure = _of_the_webhook(translate(error))
    except AdsyncError as error:
        failure = _of_the_webhook(error)
    finally:
        session.close()
    # Raised outside the handler: the HTTP stack's errors hold the URL.
    if failure is not None:
        raise failure
    if not 200 <= status < 300:
        raise _refusal(status)


def _of_the_webhook(error: AdsyncError) -> AdsyncError:
    """The transport's error, said of the webhook."""
    if isinstance(error, Defect):
        return Blocked("the webhook answered with a redirect, which is not followed; check its URL")
    if isinstance(error, Blocked):
        return Blocked("the webhook's TLS certificate cannot be verified; nothing was sent")
    return Retryable("the webhook could not be reached, or its answer did not arrive whole in time")


def _refusal(status: int) -> AdsyncError:
    if status == 429 or status >= 500:
        return Retryable(f"the webhook answered HTTP {status}")
    return Blocked(f"the webhook answered HTTP {status}; is its URL still valid?")
