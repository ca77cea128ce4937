"""How a broker is reached: URL, credentials, TLS, JetStream domain; from flags, nats CLI
contexts and the environment."""

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from twin.errors import UsageError

__all__ = ["BrokerOptions", "redact"]

DEFAULT_URL = "nats://127.0.0.1:4222"
DEFAULT_INBOX = "_INBOX"
SCHEMES = ("nats", "tls")
_SUBJECT = re.compile(r"[^\s.*>]+(\.[^\s.*>]+)*")
_CREDENTIALS_IN_URL = re.compile(r"(\w+://)[^\s,]+@")


@dataclass(frozen=True, slots=True)
class BrokerOptions:
    """Everything needed to connect. `url` may list several servers, separated by commas.

    `nkey` and `creds` are files. `tls_hostname` is whose certificate is expected, if not that
    of the host in the URL. `domain` and `api_prefix` exclude each other. Secrets do
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
    tls_hostname: str = ""
    domain: str = ""
    api_prefix: str = ""
    inbox_prefix: str = DEFAULT_INBOX

    @classmethod
    def resolve(
        cls, url: str = "", context: str = "", environ: Mapping[str, str] = os.environ
    ) -> "BrokerOptions":
        """Combine, the first one wins: an explicit URL, a nats CLI context, the environment.

        A login in the URL replaces every other one. Raises UsageError when the context does not
        exist or asks for what we cannot do, and for what is no URL of a server.
        """
        options = _from_environment(environ)
        if context:
            options = _from_context(context, environ)
        options = replace(options, url=url) if url else options
        options.check()
        return _without_login(options)

    @property
    def servers(self) -> list[str]:
        """The server URLs, at least one; `nats://` where no scheme is given."""
        parts = [part.strip() for part in self.url.split(",") if part.strip()] or [DEFAULT_URL]
        return [part if "://" in part else f"nats://{part}" for part in parts]

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

    def check(self) -> None:
        """Raise UsageError for a URL that is none, and for settings that exclude each other."""
        for url in self.servers:
            _check_url(url)
        if self.domain and self.api_prefix:
            raise UsageError("A JetStream domain and an API prefix exclude each other.")
        for what, value in (("API prefix", self.api), ("inbox prefix", self.inbox_prefix)):
            if not _SUBJECT.fullmatch(value):
                raise UsageError(f"{value!r} is no {what}: it is a subject without wildcards")

    def environment(self) -> dict[str, str]:
        """Return the variables from which a child process resolves the same options.

        All of them, so that none is inherited: one that is not in use is empty.
        """
        return {
            "NATS_URL": self.url,
            "NATS_TOKEN": self.token,
            "NATS_USER": self.user,
            "NATS_PASSWORD": self.password,
            "NATS_NKEY": _text(self.nkey),
            "NATS_CREDS": _text(self.creds),
            "NATS_CA": _text(self.ca),
            "NATS_CERT": _text(self.cert),
            "NATS_KEY": _text(self.key),
            "NATS_TLS_FIRST": "true" if self.tls_first else "",
            "NATS_TLS_HOSTNAME": self.tls_hostname,
            "NATS_JS_DOMAIN": self.domain,
            "NATS_JS_API_PREFIX": self.api_prefix,
            "NATS_INBOX_PREFIX": "" if self.inbox_prefix == DEFAULT_INBOX else self.inbox_prefix,
        }

    def redact(self, text: str) -> str:
        """Return `text` without this broker's secrets."""
        for secret in (self.token, self.password):
            text = text.replace(secret, "***") if secret else text
        return redact(text)


def redact(text: str) -> str:
    """Return `text` without the credentials of any URL in it."""
    return _CREDENTIALS_IN_URL.sub(r"\1***@", text)


def _without_login(options: BrokerOptions) -> BrokerOptions:
    """Take the login out of the URLs, so that it is in no message and no command line."""
    logins = {url.partition("://")[2].rpartition("@")[0] for url in options.servers} - {""}
    if not logins:
        return options
    if len(logins) > 1:
        raise UsageError("The servers' URLs have different logins; give one for all of them.")
    user, colon, password = logins.pop().partition(":")
    bare = ",".join(_CREDENTIALS_IN_URL.sub(r"\1", url) for url in options.servers)
    plain = replace(options, url=bare, token="", user="", password="", nkey=None, creds=None)
    if colon:
        return replace(plain, user=unquote(user), password=unquote(password))
    return replace(plain, token=unquote(user))


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        known = parts.scheme in SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise UsageError(
            f"{redact(url)!r} is no server: write nats://HOST:PORT or tls://HOST:PORT, several "
            "with commas between them"
        )


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
        nkey=_path(environ.get("NATS_NKEY", "")),
        creds=_path(environ.get("NATS_CREDS", "")),
        ca=_path(environ.get("NATS_CA", "")),
        cert=_path(environ.get("NATS_CERT", "")),
        key=_path(environ.get("NATS_KEY", "")),
        tls_first=environ.get("NATS_TLS_FIRST", "").lower() in ("1", "true"),
        tls_hostname=environ.get("NATS_TLS_HOSTNAME", ""),
        domain=environ.get("NATS_JS_DOMAIN", ""),
        api_prefix=environ.get("NATS_JS_API_PREFIX", ""),
        inbox_prefix=environ.get("NATS_INBOX_PREFIX", "") or DEFAULT_INBOX,
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
        nkey=_path(context.nkey) if not (context.user or context.creds) else None,
        creds=_path(context.creds) if not context.user else None,
        ca=_path(context.ca),
        cert=_path(context.cert),
        key=_path(context.key),
        tls_first=context.tls_first,
        domain=context.jetstream_domain,
        api_prefix=context.jetstream_api_prefix,
        inbox_prefix=context.inbox_prefix or DEFAULT_INBOX,
    )


def _path(text: str) -> Path | None:
    return Path(text).expanduser() if text else None


def _text(path: Path | None) -> str:
    """Return a path that holds in every folder."""
    return str(path.absolute()) if path else ""
