"""Credentials at rest: nobody who has the database has a token."""

from __future__ import annotations

import base64
import logging
import os
import subprocess
import threading
import traceback
from dataclasses import replace
from pathlib import Path

import pytest
from warehouse_support import one

from adsync_dagster.errors import CredentialBlocked, UsageError
from adsync_dagster.platforms.protocol import Credential
from adsync_dagster.records import Platform
from adsync_dagster.settings import Settings
from adsync_dagster.warehouse import embedded
from adsync_dagster.warehouse.database import Connection
from adsync_dagster.warehouse.tokens import TokenVault, WrappingKey

CANARY = "sim_canary_3f9c1e77b2"
FACEBOOK = Platform.FACEBOOK


def new_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a key of their own and an empty home."""
    return replace(Settings(), home=tmp_path, token_key=new_key())


@pytest.fixture
def vault(settings: Settings) -> TokenVault:
    """A vault under those settings."""
    return TokenVault.from_settings(settings)


def credential(token: str = CANARY) -> Credential:
    return Credential({"access_token": token, "app_secret": "s3cret"})


def token_of(vault: TokenVault, connection: Connection, account: str | None) -> str | None:
    loaded = vault.load(connection, FACEBOOK, account)
    return None if loaded is None else loaded.values["access_token"]


def test_a_credential_comes_back_whole(connection: Connection, vault: TokenVault) -> None:
    """What was stored is loaded, all values of it; a second store replaces it."""
    vault.store(connection, FACEBOOK, "act_1", credential())
    loaded = vault.load(connection, FACEBOOK, "act_1")
    assert loaded is not None
    assert dict(loaded.values) == {"access_token": CANARY, "app_secret": "s3cret"}

    vault.store(connection, FACEBOOK, "act_1", credential("newer"))
    assert token_of(vault, connection, "act_1") == "newer"
    assert one(connection, "SELECT count(*) FROM platform_tokens") == 1


def test_the_default_credential_serves_accounts_without_their_own(
    connection: Connection, vault: TokenVault
) -> None:
    """An account's own credential comes before the platform's default; there may be neither."""
    assert token_of(vault, connection, "act_1") is None
    vault.store(connection, FACEBOOK, None, credential("default"))
    vault.store(connection, FACEBOOK, None, credential("default again"))
    vault.store(connection, FACEBOOK, "act_2", credential("own"))

    assert token_of(vault, connection, "act_1") == "default again"
    assert token_of(vault, connection, "act_2") == "own"
    assert vault.load(connection, Platform.TIKTOK, "act_2") is None
    assert vault.delete(connection, FACEBOOK, "act_2")
    assert not vault.delete(connection, FACEBOOK, "act_2")
    assert token_of(vault, connection, "act_2") == "default again"


@pytest.mark.parametrize("columns", ["ciphertext", "wrapped_key", "ciphertext, wrapped_key"])
def test_a_ciphertext_copied_to_another_account_does_not_open(
    connection: Connection, vault: TokenVault, columns: str
) -> None:
    """Rows whose ciphertexts were swapped are refused, and the message holds no value."""
    vault.store(connection, FACEBOOK, "act_1", credential())
    vault.store(connection, FACEBOOK, "act_2", credential("other"))
    connection.execute(
        f"UPDATE platform_tokens t SET ({columns}) = (SELECT {columns} FROM platform_tokens o"
        " WHERE o.platform_account_id <> t.platform_account_id)"
    )

    with pytest.raises(CredentialBlocked) as caught:
        vault.load(connection, FACEBOOK, "act_1")
    assert CANARY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("column", ["ciphertext", "wrapped_key"])
def test_a_damaged_row_is_refused(connection: Connection, vault: TokenVault, column: str) -> None:
    """A flipped bit or a cut value is noticed."""
    vault.store(connection, FACEBOOK, "act_1", credential())
    for damage in (f"set_byte({column}, 20, get_byte({column}, 20) # 1)", "'\\x00'::bytea"):
        connection.execute(f"UPDATE platform_tokens SET {column} = {damage}")
        with pytest.raises(CredentialBlocked):
            vault.load(connection, FACEBOOK, "act_1")


def test_another_key_does_not_open_it(
    connection: Connection, vault: TokenVault, settings: Settings
) -> None:
    """With the wrong key the credential is blocked, with a sentence that names the setting."""
    vault.store(connection, FACEBOOK, "act_1", credential())
    other = TokenVault.from_settings(replace(settings, token_key=new_key()))

    with pytest.raises(CredentialBlocked, match="ADSYNC_TOKEN_KEY_PREVIOUS"):
        other.load(connection, FACEBOOK, "act_1")


def test_rotation_moves_every_credential_to_the_new_key(
    connection: Connection, vault: TokenVault, settings: Settings
) -> None:
    """With old and new key all credentials stay readable; after rotating the old key is unused."""
    names = ["act_1", "act_2", None]
    for name in names:
        vault.store(connection, FACEBOOK, name, credential(f"token of {name}"))
    fresh = new_key()
    both = TokenVault.from_settings(
        replace(settings, token_key=fresh, token_key_previous=settings.token_key)
    )
    assert [token_of(both, connection, name) for name in names] == [
        f"token of {name}" for name in names
    ]

    assert both.rotate(connection) == 3
    assert both.rotate(connection) == 0

    alone = TokenVault.from_settings(replace(settings, token_key=fresh))
    assert [token_of(alone, connection, name) for name in names] == [
        f"token of {name}" for name in names
    ]
    with pytest.raises(CredentialBlocked):
        vault.load(connection, FACEBOOK, "act_1")


def test_a_crash_during_rotation_leaves_everything_readable(
    connection: Connection, vault: TokenVault, settings: Settings
) -> None:
    """Rotation is one transaction: a row that does not open leaves all under the old key."""
    for name in ("act_1", "act_2"):
        vault.store(connection, FACEBOOK, name, credential(name))
    connection.execute(
        "UPDATE platform_tokens SET ciphertext = '' WHERE platform_account_id = 'act_2'"
    )
    both = TokenVault.from_settings(
        replace(settings, token_key=new_key(), token_key_previous=settings.token_key)
    )

    with pytest.raises(CredentialBlocked):
        both.rotate(connection)

    assert token_of(vault, connection, "act_1") == "act_1"


def test_no_token_is_in_a_dump_or_the_servers_log(
    connection: Connection,
    vault: TokenVault,
    database_url: str,
    server_home: Path,
    settings: Settings,
) -> None:
    """A dump and the server's log, even with every statement logged, hold no part of a token."""
    connection.execute("SET log_statement = 'all'")
    connection.execute("SET log_min_duration_statement = 0")
    vault.store(connection, FACEBOOK, "act_1", credential())
    vault.load(connection, FACEBOOK, "act_1")
    dump = subprocess.run(
        [str(embedded.program("pg_dump")), "--inserts", "--dbname", database_url],
        capture_output=True,
        check=True,
    ).stdout
    logs = b"".join(path.read_bytes() for path in (server_home / "postgres" / "log").iterdir())

    assert b"INSERT INTO public.platform_tokens" in dump
    assert b"INSERT INTO platform_tokens" in logs
    key = settings.token_key or ""
    for secret in (CANARY, "s3cret", key):
        for form in (
            secret.encode(),
            base64.b64encode(secret.encode()),
            secret.encode().hex().encode(),
        ):
            assert form not in dump
            assert form not in logs


def test_nothing_printed_shows_a_key_or_a_token(
    vault: TokenVault, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """The repr of keys, vaults and credentials shows no secret, nor does a log line of them."""
    key = WrappingKey.from_base64(settings.token_key or "", "X")
    logging.getLogger("test").warning("%r %r %s %r", vault, key, key, credential())

    assert settings.token_key not in caplog.text
    assert repr(key.secret) not in caplog.text
    assert CANARY not in caplog.text


@pytest.mark.parametrize("wrong", ["", "short", "c2hvcnQ=", "!" * 44, "QUFB" * 10])
def test_a_malformed_key_is_refused_without_showing_it(settings: Settings, wrong: str) -> None:
    """A key that is not the base64 of 32 bytes is refused; its text is not in the message."""
    if not wrong:
        assert TokenVault.from_settings(replace(settings, token_key=None))
        return
    with pytest.raises(UsageError) as caught:
        TokenVault.from_settings(replace(settings, token_key=wrong))
    assert "ADSYNC_TOKEN_KEY" in str(caught.value)
    assert wrong not in str(caught.value)


def test_the_key_file_is_made_once_and_only_for_its_owner(
    connection: Connection, settings: Settings
) -> None:
    """Without a key in the settings a file holds it: one file, mode 0600, whoever made it first."""
    from_file = replace(settings, token_key=None, home=settings.home / "new" / "home")
    vaults: list[TokenVault] = []
    makers = [
        threading.Thread(target=lambda: vaults.append(TokenVault.from_settings(from_file)))
        for _ in range(8)
    ]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()

    path = from_file.home / "token.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [found.name for found in from_file.home.iterdir()] == ["token.key"]
    vaults[0].store(connection, FACEBOOK, "act_1", credential())
    assert {token_of(vault, connection, "act_1") for vault in vaults} == {CANARY}


def test_a_key_moved_from_file_to_setting_still_opens(
    connection: Connection, settings: Settings
) -> None:
    """After ADSYNC_TOKEN_KEY is set, credentials under the file's key still open."""
    by_file = TokenVault.from_settings(replace(settings, token_key=None))
    by_file.store(connection, FACEBOOK, "act_1", credential())

    by_setting = TokenVault.from_settings(settings)

    assert token_of(by_setting, connection, "act_1") == CANARY
    assert by_setting.rotate(connection) == 1
