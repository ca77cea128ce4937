"""`python -m twin.health URL...`: whether pages answer 200, for health checks of containers.

The standard library only, so that a check every few seconds costs next to nothing. Exit code
0 when all do, 1 otherwise, with the reason; without arguments the URLs of TWIN_HEALTH_URL.
"""

import os
import sys
import urllib.request

__all__ = ["wrong"]

TIMEOUT_S = 2.0


def wrong(url: str) -> str:
    """Return what is wrong with a page, "" when it answers 200."""
    if not url.startswith(("http://", "https://")):
        return f"{url!r} is no http:// or https:// URL"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 - seen above
            return "" if answer.status == 200 else f"{url} answers {answer.status}"
    except (OSError, ValueError) as error:
        return f"{url}: {error}"


def main(urls: list[str]) -> int:
    """Ask every page; return the exit code."""
    reasons = [reason for url in urls if (reason := wrong(url))]
    if not urls:
        reasons = ["no URL: give one, or set TWIN_HEALTH_URL"]
    sys.stdout.write("".join(f"{reason}\n" for reason in reasons))
    return 1 if reasons else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or os.environ.get("TWIN_HEALTH_URL", "").split()))
