"""Where a credential may come from, and what is refused before it is stored."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from adsync_dagster.commands.credentials import read_credential
from adsync_dagster.errors import UsageError
from adsync_dagster.platforms.protocol import Credential

REAL = "https://graph.facebook.com"
CANARY = "canary-6b7e"


def read(
    *,
    token_env: str | None = None,
    token_file: Path | None = None,
    token_stdin: bool = False,
    base_url: str = REAL,
) -> Credential:
    """read_credential with everything left out that a test does not name."""
    return read_credential(
        token_env=token_env, token_file=token_file, token_stdin=token_stdin, base_url=base_url
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


def test_a_credential_of_several_parts_is_a_json_object(monkeypatch: pytest.MonkeyPatch) -> None:
    """Platforms that need more than a token get all its parts."""
    monkeypatch.setenv("PARTS", '{"developer_token": "d-1", "refresh_token": "r-2"}')
    assert read(token_env="PARTS").values == {"developer_token": "d-1", "refresh_token": "r-2"}


@pytest.mark.parametrize(
    "text", ["{", "{}", '{"a": 1}', '{"a b": "x"}', '{"a": {"b": "c"}}', '{"a": "two words"}']
)
def test_a_malformed_object_is_refused_unseen(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Broken JSON, nested values and blanks are refused without repeating them."""
    monkeypatch.setenv("PARTS", text)
    with pytest.raises(UsageError) as caught:
        read(token_env="PARTS")
    assert "two words" not in str(caught.value)


def test_exactly_one_source_is_needed(tmp_path: Path) -> None:
    """None, or two, is refused with the three there are."""
    for sources in ({}, {"token_env": "A", "token_file": tmp_path}):
        with pytest.raises(UsageError, match="--token-env NAME, --token-file PATH or --token-"):
            read(**sources)  # type: ignore[arg-type]


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
