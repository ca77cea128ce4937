"""The files that hold a login: nkey seeds, and credentials of a JWT with its seed.

Credentials are read again for every login, and looked at before nats-py does: of a file that is
not whole, as while it is being replaced, it would wait for ever for the JWT, or end its
reconnecting.
"""

import re
from pathlib import Path
from typing import Final

import nats.errors
import nkeys
from nats.aio.client import RawCredentials

from twin.errors import UsageError

__all__ = ["BadLogin", "CredentialsFile", "read_creds", "read_nkey"]

LARGEST: Final = 1 << 16
JWT: Final = re.compile(rb"-+BEGIN NATS USER JWT-+\n([\w-]+\.[\w-]+\.[\w-]+)\n")
SEED: Final = re.compile(rb"-+BEGIN USER NKEY SEED-+\n(S[A-Z2-7]+)\n")


class BadLogin(nats.errors.Error):
    """A file holds no login any more: for nats-py a reason to try again."""


class CredentialsFile(RawCredentials):
    """Credentials as nats-py takes them, as they are in a file whenever it wants them."""

    def __init__(self, file: Path) -> None:
        self.file = file

    @property
    def data(self) -> str:  # type: ignore[override]  # nats-py only reads it
        """The text of the file now; raises BadLogin."""
        try:
            return read_creds(self.file)
        except UsageError as error:
            raise BadLogin(str(error)) from error


def read_creds(file: Path) -> str:
    """Return credentials; UsageError unless JWT and seed are there, each in a line of its own."""
    text = _read(file)
    jwt, seed = JWT.search(text), SEED.search(text)
    if jwt is None or seed is None:
        missing = "BEGIN NATS USER JWT" if jwt is None else "BEGIN USER NKEY SEED"
        raise UsageError(
            f"{file} holds no NATS credentials: it has no section {missing!r} with one line in it"
        )
    _check_seed(file, seed[1])
    return text.decode(errors="replace")


def read_nkey(file: Path) -> str:
    """Return the seed of a user's nkey; UsageError unless the file is one."""
    seed = _read(file).strip()
    _check_seed(file, seed)
    return seed.decode()


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
