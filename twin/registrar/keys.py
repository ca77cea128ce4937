"""The Ed25519 key that signs a store's checkpoints.

The private key is a PEM file (PKCS#8, not encrypted) that only its owner may read. It is
made with the store; a store keeps its key for life and is refused with another one.
"""

import os
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from twin.errors import StoreError

__all__ = ["KEY_FILE", "SigningKey", "genuine", "sync_folder"]

KEY_FILE: Final = "signing-key.pem"
"""Name of the private key in a store's folder, unless it is kept elsewhere."""


class SigningKey:
    """A private key; `public` is its public half, 64 hexadecimal digits."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes_raw().hex()

    def sign(self, statement: str) -> bytes:
        """Return the signature over the statement in UTF-8: 64 bytes."""
        return self._key.sign(statement.encode())

    @classmethod
    def load(cls, path: Path) -> "SigningKey":
        """Read a key; StoreError when it is none, or when others may read it."""
        try:
            if path.stat().st_mode & 0o077:
                raise StoreError(f"{path} may be read by others; run chmod 600 on it")
            key = load_pem_private_key(path.read_bytes(), password=None)
        except OSError as error:
            raise StoreError(f"the signing key {path} cannot be read: {error.strerror}") from error
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise StoreError(f"{path} is no unencrypted private key in PEM") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise StoreError(f"{path} holds a key of another kind; Ed25519 is needed")
        return cls(key)

    @classmethod
    def create(cls, path: Path) -> "SigningKey":
        """Make a new key, durably, readable for its owner only; StoreError if it cannot be.

        Folders that are missing on the way are made as well.
        """
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        fresh = path.with_name(f"{path.name}.new")
        new_folders = [one for one in path.parents if not one.exists()]
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in new_folders:
                sync_folder(folder.parent)
            fresh.unlink(missing_ok=True)
            with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - a mode from the start
                file.write(pem)
                file.flush()
                os.fsync(file.fileno())
            fresh.rename(path)
            sync_folder(path.parent)
        except OSError as error:
            raise StoreError(f"the key {path} cannot be written: {error.strerror}") from error
        return cls(key)


def genuine(public: str, statement: str, signature: bytes) -> bool:
    """Tell whether the holder of a key signed the statement."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(
            signature, statement.encode()
        )
    except (InvalidSignature, ValueError):
        return False
    return True


def sync_folder(folder: Path) -> None:
    """Make what was created, renamed or removed in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
