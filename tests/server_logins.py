"""Servers that ask for a login, and the files that their users have: made for a test, real."""

import base64
import json
import secrets
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import nkeys

UNLIMITED = -1
PLAIN = dict.fromkeys(
    ("subs", "data", "payload", "imports", "exports", "conn", "leaf"), UNLIMITED
) | {"wildcards": True}
JETSTREAM = dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), UNLIMITED)
FREE: dict[str, object] = {"pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1}
_PREFIXES = {"operator": 14 << 3, "account": 0, "user": 20 << 3}


@dataclass(frozen=True)
class Key:
    """An nkey: the seed is secret, the public key names it."""

    seed: str
    public: str

    @classmethod
    def make(cls, kind: str) -> "Key":
        """Make a key of an operator, an account or a user."""
        seed = nkeys.encode_seed(secrets.token_bytes(32), _PREFIXES[kind]).decode()
        return cls(seed, nkeys.from_seed(bytearray(seed.encode())).public_key.decode())

    def sign(self, kind: str, subject: str, expires: int = 0, **claims: object) -> str:
        """Return a JWT about `subject`, as nsc would write it; `expires` 0 is never."""
        head = {"typ": "JWT", "alg": "ed25519-nkey"}
        body = {
            "jti": "TEST",
            "iat": int(time.time()),
            "iss": self.public,
            "name": kind,
            "sub": subject,
            **({"exp": expires} if expires else {}),
            "nats": {"type": kind, "version": 2, **claims},
        }
        text = ".".join(_encoded(json.dumps(part).encode()) for part in (head, body))
        pair = nkeys.from_seed(bytearray(self.seed.encode()))
        return f"{text}.{_encoded(pair.sign(text.encode()))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Operator:
    """An operator with one account on JetStream, in a server's memory."""

    def __init__(self) -> None:
        self.key, self.account, self.system = (
            Key.make("operator"),
            Key.make("account"),
            Key.make("account"),
        )

    @property
    def config(self) -> str:
        """The part of a server's configuration that trusts this operator."""
        signed = {
            account.public: self.key.sign("account", account.public, limits=limits)
            for account, limits in ((self.account, PLAIN | JETSTREAM), (self.system, PLAIN))
        }
        preload = "\n".join(f"{name}: {jwt}" for name, jwt in signed.items())
        return f"""
            operator: {self.key.sign("operator", self.key.public)}
            system_account: {self.system.public}
            resolver: MEMORY
            resolver_preload: {{ {preload} }}
        """

    def creds(self, file: Path, expires: int = 0, **claims: object) -> Path:
        """Write the credentials of a new user of the account."""
        user = Key.make("user")
        jwt = self.account.sign("user", user.public, expires, **{**FREE, **claims})
        return write_creds(file, jwt, user.seed)


def write_creds(file: Path, jwt: str, seed: str) -> Path:
    """Write a file of credentials as nsc does."""
    file.write_text(
        f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
    file.chmod(0o600)
    return file


def write_nkey(file: Path, seed: str) -> Path:
    """Write a file with the seed of an nkey."""
    file.write_text(f"{seed}\n")
    file.chmod(0o600)
    return file


def make_certificates(folder: Path) -> Path:
    """Make a throwaway authority, a server and a client certificate with openssl."""
    run = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    run += ["-nodes", "-days", "2"]
    alt = ["-addext", "subjectAltName=IP:127.0.0.1"]
    ca = ["-CA", str(folder / "ca.pem"), "-CAkey", str(folder / "ca.key")]
    for name, more in (("ca", []), ("server", [*alt, *ca]), ("client", [*alt, *ca])):
        files = ["-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.pem")]
        constraint = [] if name == "ca" else ["-addext", "basicConstraints=critical,CA:FALSE"]
        subprocess.run(
            [*run, *files, "-subj", f"/CN={name}", *more, *constraint],
            check=True,
            capture_output=True,
        )
    return folder
