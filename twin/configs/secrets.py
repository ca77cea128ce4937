"""Credentials of a deployment: one password per role, as files for the server and its clients."""

import json
import re
import secrets
from collections.abc import Mapping, Sequence

import bcrypt

from twin.configs.nats import server_conf
from twin.configs.roles import Role

__all__ = ["context_file", "password_in", "secret_files"]

SERVER = "nats-server.conf"
COST = 8
"""Of bcrypt; what is hashed has 256 random bits, which no cost would protect better."""
HEAD = "# Passwords come from the environment: "


def context_file(role: Role) -> str:
    """Return the name of a role's file: a context of the nats CLI below XDG_CONFIG_HOME."""
    return f"nats/context/{role.user}.json"


def password_in(text: str) -> str:
    """Return the password of a context that `secret_files` has made, "" if there is none."""
    try:
        found = json.loads(text).get("password", "")
    except (ValueError, AttributeError):
        return ""
    return found if isinstance(found, str) else ""


def secret_files(
    bot: str, roles: Sequence[Role], url: str, known: Mapping[str, str]
) -> dict[str, str]:
    """Return texts by relative name: the server's configuration with hashes, a context per role.

    `known` holds passwords by user that stay as they are; the others are made. Every file
    but the server's holds a secret, and that one what passwords can be tried against.
    """
    passwords = {one.user: known.get(one.user) or secrets.token_urlsafe(32) for one in roles}
    contexts = {context_file(one): _context(one, url, passwords[one.user]) for one in roles}
    return {SERVER: _hashed(server_conf(bot, roles), roles, passwords), **contexts}


def _context(role: Role, url: str, password: str) -> str:
    context = {
        "description": role.purpose,
        "url": url,
        "user": role.user,
        "password": password,
        "inbox_prefix": role.inbox,
    }
    return json.dumps(context, indent=2) + "\n"


def _hashed(conf: str, roles: Sequence[Role], passwords: Mapping[str, str]) -> str:
    """Return the configuration with a hash in the place of each variable."""
    hashes = {
        f"${one.password_variable}": bcrypt.hashpw(
            passwords[one.user].encode(), bcrypt.gensalt(COST, prefix=b"2a")
        ).decode()
        for one in roles
    }
    lines = (line for line in conf.splitlines(keepends=True) if not line.startswith(HEAD))
    pattern = re.compile(r"password: (\$\w+)")
    return pattern.sub(lambda found: f'password: "{hashes[found[1]]}"', "".join(lines))
