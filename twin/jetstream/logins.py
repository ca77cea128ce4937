"""The files that hold a login: nkey seeds, and credentials of a JWT with its seed.

nats-py reads them again for every login; here they are looked at before it does, because it
would wait for ever for the JWT of a file that has none.
"""

import re
from pathlib import Path
from typing import Final

import nkeys

from twin.errors import UsageError

__all__ = ["check_creds", "check_nkey"]

LARGEST: Final = 1 << 16
JWT: Final = re.compile(rb"-+BEGIN NATS USER JWT-+\n([\w-]+\.[\w-]+\.[\w-]+)\n")
SEED: Final = re.compile(rb"-+BEGIN USER NKEY SEED-+\n(S[A-Z2-7]+)\n")


def check_creds(file: Path) -> None:
    """Raise UsageError unless the file has a user's JWT and seed, each in a line of its own."""
    text = _read(file)
    jwt, seed = JWT.search(text), SEED.search(text)
    if jwt is None or seed is None:
        missing = "BEGIN NATS USER JWT" if jwt is None else "BEGIN USER NKEY SEED"
        raise UsageError(
            f"{file} holds no NATS credentials: it has no section {missing!r} with one line in it"
        )
    _check_seed(file, seed[1])


def check_nkey(file: Path) -> None:
    """Raise UsageError unless the file is the seed of a user's nkey."""
    _check_seed(file, _read(file).strip())


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(LARGEST)
    except OSError as error:
        raise UsageError(f"The credentials file {file} cannot be read: {error.strerror}") from None


def _check_seed(file: Path, seed: bytes) -> None:
    """Refuse what is no seed of a user; the message shows nothing of it."""
    try:
        key = nkeys.from_seed(bytearray(seed)).public_key
    except (nkeys.NkeysError, ValueError):
        key = b""
    if not key.startswith(b"U"):
        raise UsageError(f"{file} holds no seed of a user (SU...)")
