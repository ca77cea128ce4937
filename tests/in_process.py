"""The command line without the time that a Python takes to import it: here, or in a fork."""

import io
import multiprocessing
import os
import sys
import tempfile
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from subprocess import CompletedProcess
from unittest.mock import patch

from twin.cli.main import COMMANDS, run

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([module for module, _ in COMMANDS.values()])


def twin_here(folder: Path, *arguments: str | Path) -> "CompletedProcess[str]":
    """Run the command in `folder`, as the console script does: one that starts nothing."""
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


def twin_apart(
    folder: Path, *arguments: str | Path, env: dict[str, str] | None = None, timeout: float = 240
) -> "CompletedProcess[str]":
    """Run the command in `folder` in a process of its own, which has imported it already.

    It is forked from a process that does nothing else, so that loop, signals, children and exit
    code are as those of the console script. TimeoutError when it takes longer.
    """
    words = [str(word) for word in arguments]
    with tempfile.TemporaryDirectory() as place:
        outputs = [str(Path(place, name)) for name in ("out", "err")]
        called = (str(folder), words, dict(os.environ) if env is None else env, outputs)
        process = _FORKS.Process(target=_called, args=called)
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"{words}: {[Path(one).read_text() for one in outputs]}")
        said = [Path(one).read_text() for one in outputs]
        return CompletedProcess(words, process.exitcode, *said)


def _called(folder: str, words: list[str], env: dict[str, str], outputs: list[str]) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    for number, path in enumerate(outputs, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    tempfile.tempdir = None  # it may be another one in this environment
    sys.argv = ["twin", *words]
    run()
