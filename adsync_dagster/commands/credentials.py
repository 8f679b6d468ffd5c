"""Taking a credential from an environment variable, a file or stdin: never from an argument.

An argument shows in the process list and in the shell's history. What a credential consists
of, each platform says itself (platforms/plugin.py).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from adsync_dagster.errors import UsageError
from adsync_dagster.platforms.plugin import PlatformPlugin
from adsync_dagster.platforms.protocol import Credential
from adsync_dagster.variables import LOOPBACK

_TOKEN_LENGTH_MAX = 4096


def read_credential(
    *,
    token_env: str | None,
    token_file: Path | None,
    token_stdin: bool,
    base_url: str,
    plugin: PlatformPlugin,
) -> Credential:
    """The credential from the one source that was named; UsageError when it cannot be one.

    It is a JSON object of the values that the platform asks for, or the bare one where it asks
    for one only.
    """
    sources = [token_env is not None, token_file is not None, token_stdin]
    if not any(sources):
        raise UsageError(
            "say where the token is: --token-env NAME, --token-file PATH or --token-stdin"
        )
    if sum(sources) > 1:
        raise UsageError("give only one of --token-env NAME, --token-file PATH or --token-stdin")
    text = _read(token_env, token_file).strip()
    form = plugin.credential
    if len(form.needed) == 1 and not text.startswith("{"):
        (only,) = form.needed
        _check(text, base_url)
        return Credential({only.name: only.clean(text)})
    return Credential(_values(text, plugin, base_url))


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


def _values(text: str, plugin: PlatformPlugin, base_url: str) -> dict[str, str]:
    """The values of a credential that is written as a JSON object."""
    form = plugin.credential
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        optional = [field.name for field in form.fields if not field.required]
        raise UsageError(
            f"a credential of {plugin.label} is a JSON object with"
            f" {', '.join(field.name for field in form.needed)}"
            + (f", and where they are needed {', '.join(optional)}" if optional else "")
        )
    unknown = sorted(set(given) - {field.name for field in form.fields} - form.ignored)
    if unknown:
        raise UsageError(f"a credential of {plugin.label} has no {unknown[0][:40]}")
    found: dict[str, str] = {}
    for field in form.fields:
        value = given.get(field.name)
        if value in (None, "") and not field.required:
            continue
        value = str(value) if isinstance(value, str | int) else ""
        try:
            _check(value, base_url)
            found[field.name] = field.clean(value)
        except UsageError as error:
            raise UsageError(f"{field.name}: {error}") from None
    return found


def _check(token: str, base_url: str) -> None:
    """Refuse what cannot travel in a header, and tokens of the wrong world."""
    if not token:
        raise UsageError("the token is empty")
    if len(token) > _TOKEN_LENGTH_MAX:
        raise UsageError(f"the token is longer than {_TOKEN_LENGTH_MAX} characters")
    if not all(33 <= ord(character) <= 126 for character in token):
        raise UsageError("the token holds blanks, line breaks or letters that no token has")
    if token.startswith("sim_") and urlsplit(base_url).hostname not in LOOPBACK:
        raise UsageError(
            "this is a token of the simulator, and the platform's base URL is the real one"
        )
