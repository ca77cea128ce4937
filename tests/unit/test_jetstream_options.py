"""How a broker is reached: flags, contexts, environment; and what must not show."""

import json
import re
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


def test_of_several_logins_in_a_context_the_clis_choice_is_taken(tmp_path: Path) -> None:
    """As the nats CLI does: the user, else the credentials, else the nkey; never a mixture."""
    login = {"user": "ann", "password": "p", "creds": "/a.creds", "nkey": "/a.nk"}
    without: tuple[str, ...] = ()
    for left in ("user", "creds", "nkey"):
        fields = {name: value for name, value in login.items() if name not in without}
        environ = write_context(tmp_path, "lab", **fields)
        found = BrokerOptions.resolve(context="lab", environ=environ)
        assert [one for one in ("user", "creds", "nkey") if getattr(found, one)] == [left]
        without += (left,)


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
        redact("tls://bob:p@hunter2@host:1 refused, nats://x/hunter2@host:1"),
    ):
        assert not any(secret in text for secret in ("hunter2", "tok3n", "p4ss")), text
    assert options.shown == "nats://***@host:1"


@pytest.mark.parametrize(
    "url",
    [
        "nats://",
        "nats://host:port",
        "nats://host:99999",
        "nats://host:0",
        "nats://[::1",
        "http://host:4222",
        "ws://host:80",
        "nats://one:4222,tcp://hunter2@two:4222",
        "host:4222:4222",
    ],
)
def test_what_is_no_server_is_a_usage_error(url: str) -> None:
    """A URL that cannot be dialled is refused with what is allowed, and without its login."""
    with pytest.raises(UsageError, match="nats://HOST:PORT") as refusal:
        BrokerOptions.resolve(url, environ={})
    assert "hunter2" not in str(refusal.value)


def test_a_login_in_the_url_is_taken_out_and_replaces_the_others() -> None:
    """The servers' URLs can be shown and handed on; what was in them is percent-decoded."""
    environ = {"NATS_TOKEN": "t", "NATS_USER": "u", "NATS_PASSWORD": "p", "NATS_CREDS": "/creds"}
    found = BrokerOptions.resolve("nats://ann:p%40ss@one:1, two:2", environ=environ)
    assert found == BrokerOptions("nats://one:1,nats://two:2", user="ann", password="p@ss")
    assert BrokerOptions.resolve("tls://t%2Fok@one:1", environ=environ) == BrokerOptions(
        "tls://one:1", token="t/ok"
    )
    assert BrokerOptions.resolve("one:1", environ=environ).token == "t"
    with pytest.raises(UsageError, match="different logins"):
        BrokerOptions.resolve("nats://a:hunter2@one:1,nats://b:hunter2@two:2", environ={})


def test_a_child_process_resolves_the_same(tmp_path: Path) -> None:
    """What is handed on in the environment is complete, and hides what was there before."""
    for options in (
        BrokerOptions(),
        BrokerOptions(url="nats://a:1", token="t", domain="hub"),
        BrokerOptions(
            url="tls://a:1",
            user="u",
            password="p",
            nkey=tmp_path / "nk",
            creds=tmp_path / "creds",
            ca=tmp_path / "ca",
            cert=tmp_path / "cert",
            key=tmp_path / "key",
            tls_first=True,
            api_prefix="js.hub",
            inbox_prefix="mine",
        ),
    ):
        inherited = {
            "NATS_TOKEN": "old",
            "NATS_JS_DOMAIN": "",
            "NATS_CREDS": "/old",
            "NATS_KEY": "",
        }
        assert BrokerOptions.resolve(environ=inherited | options.environment()) == options


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"domain": "a", "api_prefix": "b"}, "exclude each other"),
        ({"api_prefix": "js.>"}, "'js.>' is no API prefix"),
        ({"domain": "a b"}, "is no API prefix"),
        ({"inbox_prefix": "_INBOX.*"}, "'_INBOX.*' is no inbox prefix"),
        ({"inbox_prefix": "a\r\nPUB x 0"}, "is no inbox prefix"),
    ],
)
def test_prefixes_that_are_no_subjects(fields: dict[str, str], message: str) -> None:
    """They would say something else to the server than is meant."""
    with pytest.raises(UsageError, match=re.escape(message)):
        BrokerOptions(**fields).check()  # type: ignore[arg-type]


def test_broken_tls_files_are_a_usage_error(tmp_path: Path) -> None:
    """A certificate that is missing or no certificate is reported as the user's mistake."""
    (tmp_path / "ca.pem").write_text("no certificate")
    for file in (tmp_path / "ca.pem", tmp_path / "missing.pem"):
        with pytest.raises(UsageError, match="TLS"):
            BrokerOptions(ca=file).ssl_context()
    assert BrokerOptions().ssl_context() is None
    assert BrokerOptions(url="tls://host:1").ssl_context() is not None
