"""How a broker is reached: flags, contexts, environment; and what must not show."""

import json
from pathlib import Path

import pytest

from twin.errors import UsageError
from twin.jetstream.options import BrokerOptions, redact


def write_context(home: Path, name: str, **fields: object) -> dict[str, str]:
    """Write a nats CLI context; return the environment in which it is found."""
    folder = home / "nats" / "context"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(fields))
    return {"XDG_CONFIG_HOME": str(home)}


def test_environment() -> None:
    """The documented variables are read; without any, the default URL is used."""
    assert BrokerOptions.resolve(environ={}).servers == ["nats://127.0.0.1:4222"]
    options = BrokerOptions.resolve(
        environ={
            "NATS_URL": "nats://a:1, nats://b:2",
            "NATS_TOKEN": "t",
            "NATS_USER": "u",
            "NATS_PASSWORD": "p",
            "NATS_CREDS": "/creds",
            "NATS_CA": "/ca.pem",
        }
    )
    assert options.servers == ["nats://a:1", "nats://b:2"]
    assert (options.token, options.user, options.password) == ("t", "u", "p")
    assert (options.creds, options.ca) == (Path("/creds"), Path("/ca.pem"))


def test_a_context_wins_over_the_environment_and_a_url_over_both(tmp_path: Path) -> None:
    """The most explicit source decides where we connect; credentials stay."""
    environ = write_context(
        tmp_path, "lab", url="nats://lab:4222", user="u", password="p", jetstream_domain="hub"
    )
    environ["NATS_URL"] = "nats://elsewhere:4222"
    options = BrokerOptions.resolve(context="lab", environ=environ)
    assert (options.servers, options.api) == (["nats://lab:4222"], "$JS.hub.API")
    options = BrokerOptions.resolve("nats://mine:1", "lab", environ)
    assert (options.servers, options.user) == (["nats://mine:1"], "u")


def test_a_context_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    """Unknown names list the known ones; what we do not support is said, not ignored."""
    environ = write_context(tmp_path, "lab", url="nats://lab:4222")
    write_context(tmp_path, "proxied", socks_proxy="socks://x")
    with pytest.raises(UsageError, match="'nope'; there are: lab, proxied"):
        BrokerOptions.resolve(context="nope", environ=environ)
    with pytest.raises(UsageError, match="socks_proxy"):
        BrokerOptions.resolve(context="proxied", environ=environ)
    with pytest.raises(UsageError, match="not the name"):
        BrokerOptions.resolve(context="../../etc/passwd", environ=environ)
    (tmp_path / "nats" / "context" / "broken.json").write_text("{")
    with pytest.raises(UsageError, match="'broken' cannot be read"):
        BrokerOptions.resolve(context="broken", environ=environ)


def test_secrets_do_not_show() -> None:
    """Neither representations nor messages carry tokens, passwords or credentials of a URL."""
    options = BrokerOptions(url="nats://bob:hunter2@host:1", token="tok3n", password="p4ss")
    for text in (
        repr(options),
        options.shown,
        options.redact("with tok3n and p4ss at nats://bob:hunter2@host:1"),
        redact("tls://bob:hunter2@host:1 refused"),
    ):
        assert not any(secret in text for secret in ("hunter2", "tok3n", "p4ss")), text
    assert options.shown == "nats://***@host:1"


def test_broken_tls_files_are_a_usage_error(tmp_path: Path) -> None:
    """A certificate that is missing or no certificate is reported as the user's mistake."""
    (tmp_path / "ca.pem").write_text("no certificate")
    for file in (tmp_path / "ca.pem", tmp_path / "missing.pem"):
        with pytest.raises(UsageError, match="TLS"):
            BrokerOptions(ca=file).ssl_context()
    assert BrokerOptions().ssl_context() is None
    assert BrokerOptions(url="tls://host:1").ssl_context() is not None
