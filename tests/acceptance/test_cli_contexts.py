"""Everything that a context may say at once, through every command that reaches a server."""

import asyncio
import json
import os
from pathlib import Path

from in_process import twin_apart
from server_logins import Key, make_certificates, write_nkey

from twin.jetstream.connection import BrokerOptions
from twin.jetstream.server import NatsServer

SCENARIO = """\
schema_version: 1
name: guarded
fleet: {crew: {count: 2}}
phases: [{name: all, duration: 2s}]
limits: {max_slip_p99_ms: 10000}
"""


async def test_every_command_takes_all_of_a_context(tmp_path: Path) -> None:
    """Mutual TLS, an nkey, a domain and an inbox prefix reach the registrar's process too."""
    key, pki = Key.make("user"), make_certificates(tmp_path)
    config = f"""
        jetstream {{ store_dir: "{tmp_path / "js"}", domain: hub }}
        tls {{ cert_file: "{pki / "server.pem"}", key_file: "{pki / "server.key"}",
               ca_file: "{pki / "ca.pem"}", verify: true }}
        authorization {{ users: [{{nkey: {key.public}, permissions: {{
            publish: ">", subscribe: {{allow: ">", deny: "_INBOX.>"}} }} }}] }}
    """
    context = {
        "nkey": str(write_nkey(tmp_path / "user.nk", key.seed)),
        "ca": str(pki / "ca.pem"),
        "cert": str(pki / "client.pem"),
        "key": str(pki / "client.key"),
        "inbox_prefix": "mine",
        "jetstream_domain": "hub",
    }
    folder = tmp_path / "nats" / "context"
    folder.mkdir(parents=True)
    env = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}
    (tmp_path / "guarded.yaml").write_text(SCENARIO)

    def point_at(url: str) -> BrokerOptions:
        (folder / "guarded.json").write_text(json.dumps({**context, "url": url}))
        return BrokerOptions.resolve(context="guarded", environ=env)

    probe = point_at("nats://127.0.0.1:1")
    async with NatsServer(
        tmp_path / "nats", log=tmp_path / "log", extra_config=config, probe=probe
    ) as server:
        point_at(server.url)
        for words in (
            ("run", "guarded.yaml", "--prefix", "lab"),
            ("run", "guarded.yaml", "--nats", server.url.replace("nats:", "tls:")),
            ("doctor", "--prefix", "lab"),
            ("lag", "watch", "--count", "1"),
        ):
            done = await asyncio.to_thread(
                twin_apart, tmp_path, *words, "--context", "guarded", env=env
            )
            assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
