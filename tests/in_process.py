"""The command line in this process: what ends before anything starts needs no Python of its own."""

import io
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from subprocess import CompletedProcess
from unittest.mock import patch

from twin.cli.main import run


def twin_here(folder: Path, *arguments: str | Path) -> "CompletedProcess[str]":
    """Run the command in `folder`, as the console script does."""
    words = [str(word) for word in arguments]
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    code = 0
    called = patch.object(sys, "argv", ["twin", *words])
    with chdir(folder), called, redirect_stdout(out), redirect_stderr(err):
        try:
            run()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return CompletedProcess(words, code, *(one.buffer.getvalue().decode() for one in (out, err)))
