"""`platform_tokens`: credentials, encrypted before they leave this process.

Envelope encryption: every row has a data key of its own (AES-256-GCM), wrapped by a key that
is never in the database: ADSYNC_TOKEN_KEY, or a file that only its owner may read. Both
ciphertexts are bound to platform, account and key version, so a row that is copied to another
account does not decrypt. The key version is a fingerprint of the wrapping key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from adsync_dagster.errors import CredentialBlocked, UsageError
from adsync_dagster.platforms.protocol import Credential
from adsync_dagster.records import Platform
from adsync_dagster.warehouse.database import Connection
from adsync_dagster.warehouse.queries import queries

if TYPE_CHECKING:
    # The settings know the platforms, and the warehouse does not.
    from adsync_dagster.settings import Settings

KEY_BYTES = 32
NONCE_BYTES = 12
KEY_FILE = "token.key"


@dataclass(frozen=True, slots=True)
class WrappingKey:
    """A key that wraps data keys. It shows in no repr."""

    secret: bytes = field(repr=False)

    @property
    def version(self) -> int:
        """A fingerprint that tells keys apart and says nothing about them."""
        digest = hashlib.sha256(b"adsync wrapping key" + self.secret).digest()
        return int.from_bytes(digest[:4], "big") >> 1

    @classmethod
    def from_base64(cls, text: str, variable: str) -> WrappingKey:
        """Read a key from a setting; UsageError, without the value, when it is not 32 bytes."""
        try:
            secret = base64.b64decode(text.strip(), validate=True)
        except (binascii.Error, ValueError):
            secret = b""
        if len(secret) != KEY_BYTES:
            raise UsageError(
                f"{variable} must be the base64 of {KEY_BYTES} random bytes;"
                f" make one with: openssl rand -base64 {KEY_BYTES}"
            )
        return cls(secret)


class TokenVault:
    """Stores and loads credentials. The first key encrypts; all of them decrypt."""

    def __init__(self, key: WrappingKey, *previous: WrappingKey) -> None:
        self._key = key
        self._keys = {known.version: known for known in (*previous, key)}

    @classmethod
    def from_settings(cls, settings: Settings) -> TokenVault:
        """The vault of these settings; makes the key file in the home on first use.

        Without ADSYNC_TOKEN_KEY the file's key encrypts. With it, a key file that is there
        still decrypts, so moving from one to the other needs no pause.
        """
        previous = []
        if settings.token_key_previous:
            previous.append(
                WrappingKey.from_base64(settings.token_key_previous, "ADSYNC_TOKEN_KEY_PREVIOUS")
            )
        path = settings.home / KEY_FILE
        if not settings.token_key:
            return cls(_key_from_file(path), *previous)
        if path.exists():
            previous.append(_key_from_file(path))
        return cls(WrappingKey.from_base64(settings.token_key, "ADSYNC_TOKEN_KEY"), *previous)

    def store(
        self,
        connection: Connection,
        platform: Platform,
        platform_account_id: str | None,
        credential: Credential,
    ) -> None:
        """Keep a credential for an account, or as the platform's default (account None)."""
        connection.execute(
            queries["store_token"],
            {
                "platform": platform,
                "platform_account_id": platform_account_id,
                **self._encrypt(platform, platform_account_id, credential),
            },
        )

    def load(
        self, connection: Connection, platform: Platform, platform_account_id: str | None
    ) -> Credential | None:
        """The account's credential, else the platform's default, else None.

        CredentialBlocked when it is there but no known key opens it.
        """
        row = connection.execute(
            queries["load_token"],
            {"platform": platform, "platform_account_id": platform_account_id},
        ).fetchone()
        return None if row is None else self._decrypt(platform, *row)

    def delete(
        self, connection: Connection, platform: Platform, platform_account_id: str | None
    ) -> bool:
        """Forget a credential; False when there was none."""
        cursor = connection.execute(
            queries["delete_token"],
            {"platform": platform, "platform_account_id": platform_account_id},
        )
        return cursor.rowcount > 0

    def rotate(self, connection: Connection) -> int:
        """Encrypt every credential under the present key, in one transaction; how many were not.

        Credentials stay readable throughout; a crash leaves them all under the old key.
        """
        with connection.transaction():
            rows = connection.execute(
                queries["tokens_of_other_keys"], {"key_version": self._key.version}
            ).fetchall()
            for platform, *stored in rows:
                credential = self._decrypt(platform, *stored)
                connection.execute(
                    queries["replace_token"],
                    {
                        "platform": platform,
                        "platform_account_id": stored[0],
                        "old_key_version": stored[1],
                        **self._encrypt(platform, stored[0], credential),
                    },
                )
        return len(rows)

    def _encrypt(
        self, platform: str, platform_account_id: str | None, credential: Credential
    ) -> dict[str, Any]:
        version = self._key.version
        bound_to = _bound_to(platform, platform_account_id, version)
        data_key = AESGCM.generate_key(bit_length=8 * KEY_BYTES)
        return {
            "key_version": version,
            "wrapped_key": _seal(self._key.secret, data_key, bound_to),
            "ciphertext": _seal(data_key, orjson.dumps(dict(credential.values)), bound_to),
        }

    def _decrypt(
        self,
        platform: str,
        platform_account_id: str | None,
        version: int,
        wrapped_key: bytes,
        ciphertext: bytes,
    ) -> Credential:
        whose = f"the credential of {platform}:{platform_account_id or 'every account'}"
        key = self._keys.get(version)
        if key is None:
            raise CredentialBlocked(
                f"{whose} was encrypted under another key; set ADSYNC_TOKEN_KEY"
                " (or ADSYNC_TOKEN_KEY_PREVIOUS) to that key, or store the credential again"
            )
        bound_to = _bound_to(platform, platform_account_id, version)
        try:
            data_key = _open(key.secret, wrapped_key, bound_to)
            values = orjson.loads(_open(data_key, ciphertext, bound_to))
        except (InvalidTag, ValueError):
            raise CredentialBlocked(
                f"{whose} does not decrypt: its row was changed or belongs to another account;"
                " store the credential again"
            ) from None
        return Credential(values)


def _bound_to(platform: str, platform_account_id: str | None, version: int) -> bytes:
    return orjson.dumps(["adsync", platform, platform_account_id, version])


def _seal(key: bytes, plain: bytes, bound_to: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound_to)


def _open(key: bytes, sealed: bytes, bound_to: bytes) -> bytes:
    return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to)


def _key_from_file(path: Path) -> WrappingKey:
    """The key in the file, which is made on first use; of two makers at once the first wins."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{KEY_FILE}.{os.getpid()}.{os.urandom(4).hex()}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(handle, base64.b64encode(os.urandom(KEY_BYTES)) + b"\n")
            os.fsync(handle)
        finally:
            os.close(handle)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return WrappingKey.from_base64(path.read_text(encoding="ascii"), str(path))
