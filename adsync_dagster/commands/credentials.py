"""Taking a credential from an environment variable, a file or stdin: never from an argument.

An argument shows in the process list and in the shell's history. A credential is the bare
token; that of Google Ads, which has several parts, is a JSON object.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from adsync_dagster.errors import UsageError
from adsync_dagster.platforms.protocol import Credential
from adsync_dagster.records import Platform

_TOKEN_LENGTH_MAX = 4096
_GOOGLE_NEEDED = frozenset({"client_id", "client_secret", "refresh_token"})
_GOOGLE_OPTIONAL = frozenset({"developer_token", "login_customer_id"})
#: In the files that Google's own tools write.
_GOOGLE_IGNORED = frozenset(
    {"type", "account", "quota_project_id", "universe_domain", "use_proto_plus"}
)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def read_credential(
    *,
    token_env: str | None,
    token_file: Path | None,
    token_stdin: bool,
    base_url: str,
    platform: Platform = Platform.FACEBOOK,
) -> Credential:
    """The credential from the one source that was named; UsageError when it cannot be one.

    Google's is a JSON object, see `_google`; the others' is a token.
    """
    sources = [token_env is not None, token_file is not None, token_stdin]
    if sum(sources) != 1:
        raise UsageError(
            "say where the token is: --token-env NAME, --token-file PATH or --token-stdin"
        )
    token = _read(token_env, token_file).strip()
    if platform is Platform.GOOGLE_ADS:
        return _google(token, base_url)
    _check(token, base_url)
    return Credential({"access_token": token})


def _read(token_env: str | None, token_file: Path | None) -> str:
    if token_env is not None:
        if not os.environ.get(token_env):
            raise UsageError(
                f"the environment variable that --token-env names ({token_env[:60]}) is not set"
                " or empty"
            )
        return os.environ[token_env]
    if token_file is None:
        return sys.stdin.read(_TOKEN_LENGTH_MAX + 2)
    try:
        with token_file.open(encoding="utf-8") as file:
            return file.read(_TOKEN_LENGTH_MAX + 2)
    except OSError as error:
        raise UsageError(f"{token_file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{token_file} is not a text file with a token in it") from None


def _google(text: str, base_url: str) -> Credential:
    """A credential of Google Ads: client id and secret, refresh token, and what else it needs.

    The names are those of Google's own files, whose other entries mean nothing here.
    """
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise UsageError(
            "a credential of Google Ads is a JSON object with client_id, client_secret and"
            " refresh_token, and developer_token and login_customer_id where they are needed"
        )
    unknown = sorted(set(values) - _GOOGLE_NEEDED - _GOOGLE_OPTIONAL - _GOOGLE_IGNORED)
    if unknown:
        raise UsageError(f"a credential of Google Ads has no {unknown[0][:40]}")
    found: dict[str, str] = {}
    for name in sorted(_GOOGLE_NEEDED | _GOOGLE_OPTIONAL):
        value = values.get(name)
        if value in (None, "") and name in _GOOGLE_OPTIONAL:
            continue
        found[name] = str(value) if isinstance(value, str | int) else ""
        try:
            _check(found[name], base_url)
        except UsageError as error:
            raise UsageError(f"{name}: {error}") from None
    if "login_customer_id" in found:
        found["login_customer_id"] = found["login_customer_id"].replace("-", "")
        if not found["login_customer_id"].isdigit():
            raise UsageError("login_customer_id is a manager account; write it like 123-456-7890")
    return Credential(found)


def _check(token: str, base_url: str) -> None:
    """Refuse what cannot travel in a header, and tokens of the wrong world."""
    if not token:
        raise UsageError("the token is empty")
    if len(token) > _TOKEN_LENGTH_MAX:
        raise UsageError(f"the token is longer than {_TOKEN_LENGTH_MAX} characters")
    if not all(33 <= ord(character) <= 126 for character in token):
        raise UsageError("the token holds blanks, line breaks or letters that no token has")
    if token.startswith("sim_") and urlsplit(base_url).hostname not in _LOOPBACK:
        raise UsageError(
            "this is a token of the simulator, and the platform's base URL is the real one"
        )
