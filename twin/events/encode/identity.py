"""UUIDs that are the same in every run: RFC 9562 version 8, a bot's hash and a number."""

import hashlib

__all__ = ["uuid_prefix", "uuid_text"]


def uuid_prefix(bot: str, purpose: str) -> bytes:
    """Return all of a UUID but its last 12 digits, from BLAKE2b(purpose/bot)."""
    digits = hashlib.blake2b(f"{purpose}/{bot}".encode(), digest_size=8).hexdigest()
    variant = "89ab"[int(digits[11], 16) & 3]
    return f"{digits[:8]}-{digits[8:11]}0-8{digits[12:15]}-{variant}{digits[8:11]}-".encode()


def uuid_text(prefix: bytes, number: int) -> bytes:
    """Return the UUID of a number below 2**48 within its prefix."""
    return b"%b%012x" % (prefix, number)
