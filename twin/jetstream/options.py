"""How a broker is reached: URL, credentials, TLS, JetStream domain; from flags, nats CLI
contexts and the environment."""

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from twin.errors import UsageError

__all__ = ["BrokerOptions", "redact"]

DEFAULT_URL = "nats://127.0.0.1:4222"
_CREDENTIALS_IN_URL = re.compile(r"(\w+://)[^/@\s]+@")


@dataclass(frozen=True, slots=True)
class BrokerOptions:
    """Everything needed to connect. `url` may list several servers, separated by commas.

    `nkey` and `creds` are files. `domain` and `api_prefix` exclude each other. Secrets do
    not show in the representation.
    """

    url: str = field(default=DEFAULT_URL, repr=False)
    token: str = field(default="", repr=False)
    user: str = ""
    password: str = field(default="", repr=False)
    nkey: Path | None = None
    creds: Path | None = None
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    tls_first: bool = False
    domain: str = ""
    api_prefix: str = ""
    inbox_prefix: str = "_INBOX"

    @classmethod
    def resolve(
        cls, url: str = "", context: str = "", environ: Mapping[str, str] = os.environ
    ) -> "BrokerOptions":
        """Combine, the first one wins: an explicit URL, a nats CLI context, the environment.

        Raises UsageError when the context does not exist or asks for what we cannot do.
        """
        options = _from_environment(environ)
        if context:
            options = _from_context(context, environ)
        return replace(options, url=url) if url else options

    @property
    def servers(self) -> list[str]:
        """The server URLs, at least one."""
        return [part.strip() for part in self.url.split(",") if part.strip()] or [DEFAULT_URL]

    @property
    def shown(self) -> str:
        """The servers without credentials, for messages."""
        return redact(", ".join(self.servers))

    @property
    def api(self) -> str:
        """The subject prefix of the JetStream API."""
        if self.api_prefix:
            return self.api_prefix
        return f"$JS.{self.domain}.API" if self.domain else "$JS.API"

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return the TLS set-up when files are given or a server URL asks for TLS."""
        wanted = self.ca or self.cert or self.tls_first
        if not wanted and not any(url.startswith("tls://") for url in self.servers):
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.cert:
                context.load_cert_chain(self.cert, self.key)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"The TLS files cannot be used: {error}") from error
        return context

    def check_credentials(self) -> None:
        """Raise UsageError when creds or nkey name no file, or the package they need is missing."""
        files = [file for file in (self.creds, self.nkey) if file]
        for file in files:
            if not file.is_file():
                raise UsageError(f"There is no credentials file {file}.")
        if files and find_spec("nkeys") is None:
            raise UsageError("Creds and nkeys need the package nkeys: pip install nkeys")

    def redact(self, text: str) -> str:
        """Return `text` without this broker's secrets."""
        for secret in (self.token, self.password):
            text = text.replace(secret, "***") if secret else text
        return redact(text)


def redact(text: str) -> str:
    """Return `text` without the credentials of any URL in it."""
    return _CREDENTIALS_IN_URL.sub(r"\1***@", text)


class _Context(BaseModel):
    """A context file of the nats CLI, as far as it concerns us."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    url: str = ""
    token: str = ""
    user: str = ""
    password: str = ""
    creds: str = ""
    nkey: str = ""
    cert: str = ""
    key: str = ""
    ca: str = ""
    tls_first: bool = False
    jetstream_domain: str = ""
    jetstream_api_prefix: str = ""
    inbox_prefix: str = ""
    nsc: str = ""
    socks_proxy: str = ""
    user_jwt: str = ""
    user_seed: str = ""


def _from_environment(environ: Mapping[str, str]) -> BrokerOptions:
    return BrokerOptions(
        url=environ.get("NATS_URL", "") or DEFAULT_URL,
        token=environ.get("NATS_TOKEN", ""),
        user=environ.get("NATS_USER", ""),
        password=environ.get("NATS_PASSWORD", ""),
        creds=_path(environ.get("NATS_CREDS", "")),
        ca=_path(environ.get("NATS_CA", "")),
        inbox_prefix=environ.get("NATS_INBOX_PREFIX", "") or "_INBOX",
    )


def _from_context(name: str, environ: Mapping[str, str]) -> BrokerOptions:
    if "/" in name or name.startswith("."):
        raise UsageError(f"{name!r} is not the name of a nats CLI context.")
    home = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "nats" / "context"
    try:
        context = _Context.model_validate_json((home / f"{name}.json").read_bytes())
    except FileNotFoundError:
        known = ", ".join(sorted(file.stem for file in home.glob("*.json"))) or "none"
        raise UsageError(f"There is no nats CLI context {name!r}; there are: {known}.") from None
    except ValidationError as error:
        raise UsageError(f"The nats CLI context {name!r} cannot be read.\n{error}") from None
    for unsupported in ("nsc", "socks_proxy", "user_jwt", "user_seed"):
        if getattr(context, unsupported):
            raise UsageError(f"The nats CLI context {name!r} uses {unsupported}: not supported.")
    return BrokerOptions(
        url=context.url or DEFAULT_URL,
        token=context.token,
        user=context.user,
        password=context.password,
        nkey=_path(context.nkey),
        creds=_path(context.creds),
        ca=_path(context.ca),
        cert=_path(context.cert),
        key=_path(context.key),
        tls_first=context.tls_first,
        domain=context.jetstream_domain,
        api_prefix=context.jetstream_api_prefix,
        inbox_prefix=context.inbox_prefix or "_INBOX",
    )


def _path(text: str) -> Path | None:
    return Path(text).expanduser() if text else None
