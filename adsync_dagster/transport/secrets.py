"""Secrets that a platform wants as parameters: added at the last moment, and never logged."""

from __future__ import annotations

import logging

from adsync_dagster.platforms.protocol import Credential, Request, SecretMissing


def secret_params(request: Request, credential: Credential) -> dict[str, str]:
    """The credential's values that this request carries; SecretMissing when there is none."""
    missing = [name for name in request.secret_params if not credential.values.get(name)]
    if missing:
        raise SecretMissing(f"{request.purpose}: the credential lacks {', '.join(missing)}")
    return {name: credential.values[name] for name in request.secret_params}


class _WithoutQueries(logging.Filter):
    """Cuts the query off the request lines that urllib3 logs at DEBUG."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                one.partition("?")[0] if isinstance(one, str) and one.startswith("/") else one
                for one in record.args
            )
        return True


def log_no_queries() -> None:
    """Let no query appear in urllib3's log, whatever its level; once is enough."""
    logger = logging.getLogger("urllib3.connectionpool")
    if not any(isinstance(known, _WithoutQueries) for known in logger.filters):
        logger.addFilter(_WithoutQueries())
