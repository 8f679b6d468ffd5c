"""Where a credential may come from, and what is refused before it is stored."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from adsync_dagster.commands.credentials import read_credential
from adsync_dagster.errors import UsageError
from adsync_dagster.platforms.protocol import Credential
from adsync_dagster.platforms.registry import plugin_for
from adsync_dagster.records import Platform

REAL = "https://graph.facebook.com"
CANARY = "canary-6b7e"


def read(
    *,
    token_env: str | None = None,
    token_file: Path | None = None,
    token_stdin: bool = False,
    base_url: str = REAL,
    platform: Platform = Platform.FACEBOOK,
) -> Credential:
    """read_credential with everything left out that a test does not name."""
    return read_credential(
        token_env=token_env,
        token_file=token_file,
        token_stdin=token_stdin,
        base_url=base_url,
        plugin=plugin_for(platform),
    )


def test_each_source_gives_the_same_credential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variable, file and stdin all work; the line break at the end is not part of the token."""
    path = tmp_path / "token"
    path.write_text(f"{CANARY}\n", encoding="utf-8")
    monkeypatch.setenv("META_TOKEN", CANARY)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{CANARY}\r\n"))
    found = [read(token_env="META_TOKEN"), read(token_file=path), read(token_stdin=True)]
    assert [credential.values for credential in found] == [{"access_token": CANARY}] * 3


GOOGLE = {"client_id": "c-1", "client_secret": "s-2", "refresh_token": "r-3"}


def test_googles_credential_is_a_json_object(tmp_path: Path) -> None:
    """Google Ads needs several parts; they come as Google's own tools write them."""
    path = tmp_path / "google.json"
    extra = {"type": "authorized_user", "login_customer_id": "123-456-7890"}
    path.write_text(json.dumps({**GOOGLE, **extra}), encoding="utf-8")
    credential = read(token_file=path, platform=Platform.GOOGLE_ADS)
    assert credential.values == {**GOOGLE, "login_customer_id": "1234567890"}


def test_metas_credential_may_hold_the_apps_secret(tmp_path: Path) -> None:
    """The bare token is enough; where the app demands a proof, a JSON object holds both."""
    path = tmp_path / "meta.json"
    path.write_text(json.dumps({"access_token": "t-1", "app_secret": "s-2"}), encoding="utf-8")
    assert read(token_file=path).values == {"access_token": "t-1", "app_secret": "s-2"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "JSON object"),
        ("{", "JSON object"),
        ("[]", "JSON object"),
        (json.dumps({**GOOGLE, "password": "p"}), "password"),
        (json.dumps({**GOOGLE, "client_secret": "two words"}), "client_secret"),
        (json.dumps({**GOOGLE, "refresh_token": ""}), "refresh_token"),
        (json.dumps({**GOOGLE, "login_customer_id": "me"}), "manager account"),
    ],
)
def test_a_malformed_google_credential(tmp_path: Path, text: str, words: str) -> None:
    """What is missing or wrong is named by its field, and no value is repeated."""
    path = tmp_path / "google.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=words) as caught:
        read(token_file=path, platform=Platform.GOOGLE_ADS)
    assert "two words" not in str(caught.value)


def test_exactly_one_source_is_needed(tmp_path: Path) -> None:
    """None, or two, is refused with the three there are, and each in its own words."""
    three = "--token-env NAME, --token-file PATH or --token-stdin"
    with pytest.raises(UsageError, match=f"^say where the token is: {three}$"):
        read()
    with pytest.raises(UsageError, match=f"^give only one of {three}$"):
        read(token_env="A", token_file=tmp_path)


def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unset and an empty variable are refused by name."""
    monkeypatch.delenv("META_TOKEN", raising=False)
    with pytest.raises(UsageError, match=r"META_TOKEN.* not set"):
        read(token_env="META_TOKEN")
    monkeypatch.setenv("META_TOKEN", "")
    with pytest.raises(UsageError, match=r"META_TOKEN.* not set"):
        read(token_env="META_TOKEN")


def test_a_token_given_as_the_variables_name_is_not_repeated_in_full() -> None:
    """Somebody who passes the token itself to --token-env does not find it in a log."""
    token = "EAA" + "x" * 200
    with pytest.raises(UsageError) as caught:
        read(token_env=token)
    assert token not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"two words", "blanks"),
        (b"two\nlines", "blanks"),
        ("schlüssel".encode(), "letters that no token has"),
        (b"\xff\xfe\x00", "not a text file"),
        (b"x" * 5000, "longer than 4096"),
    ],
)
def test_what_is_no_token_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    """Whatever the file holds, it is refused in a sentence that does not repeat it."""
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=words) as caught:
        read(token_file=path)
    assert "two" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A path that cannot be read, or is a folder, is named."""
    for path in (tmp_path / "gone", tmp_path):
        with pytest.raises(UsageError, match=str(path)):
            read(token_file=path)


def test_a_simulator_token_never_meets_the_real_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    """sim_ tokens are for loopback; against the real host they are refused."""
    monkeypatch.setenv("META_TOKEN", "sim_demo")
    with pytest.raises(UsageError, match="token of the simulator"):
        read(token_env="META_TOKEN")
    assert read(token_env="META_TOKEN", base_url="http://127.0.0.1:4010")
