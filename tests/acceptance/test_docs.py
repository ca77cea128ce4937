"""The documentation does what it says: commands run, examples load, links lead somewhere."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from in_process import twin_apart

from twin.cli.main import COMMANDS
from twin.reference.pages import generated
from twin.registrar.codes import CODES
from twin.registrar.rules import Rules
from twin.scenario.language.load import load_scenario
from twin.simulation.malfunctions import MALFUNCTIONS
from twin.spec.dump import to_yaml
from twin.spec.yaml import read_text

ROOT = Path(__file__).parent.parent.parent
GENERATED = generated(ROOT)
REFERENCE = {
    section.partition("\n")[0]: set(re.findall(r"--[a-z][a-z-]*", section)) | {"--help"}
    for section in GENERATED["docs/reference/cli.md"].split("\n## ")[1:]
}
"""The options of every command."""
CODES_PAGE = "docs/reference/codes.md"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SAVED_AS = re.compile(r"^Saved as `(\S+)`[:,]", re.MULTILINE)
SOME_RUN = re.compile(r"runs/\d{8}-\d{6}-[\w-]+")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
RUN_ELSEWHERE = re.compile(
    r"registrar serve|twin fleet |twin bench |twin capacity |--nats |export NATS_URL|"
    r"sqlite3 |datasette |duckdb |lose_one_in"
)
"""Services, benchmarks, a user's server and tools of others are tested elsewhere."""
OF_A_SHELL = re.compile(r"[|&;<>*$`~]")
MINIMAL = {
    "schema_version": 1,
    "name": "fragment",
    "parameters": {"bots": 5},
    "fleet": {"haulers": {"count": 5}},
    "phases": [{"name": "steady", "duration": "20s"}],
}


def blocks(page: Path, *languages: str) -> Iterator[tuple[str, str]]:
    """Yield (text, what follows it) of each fenced block in one of the languages."""
    text = page.read_text()
    for match in BLOCK.finditer(text):
        if match[1] in languages:
            yield match[2], text[match.end() : match.end() + 80]


def commands(page: Path) -> list[str]:
    """Return the command lines of a page, in order."""
    texts = (text.replace("\\\n", " ") for text, _ in blocks(page, "sh", "console"))
    lines = (line for text in texts for line in text.splitlines())
    return [line for line in lines if line.strip() and not line.startswith("#")]


def names(pages: list[Path]) -> list[str]:
    """Name pages by their path in the repository."""
    return [str(page.relative_to(ROOT)) for page in pages]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh project with the guide's examples and a finished run, its store also as `audit`.

    Where several pages run a scenario, it is short.
    """
    folder = tmp_path_factory.mktemp("project")

    def twin(*arguments: str) -> None:
        done = twin_apart(folder, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr

    twin("init")
    shorten(folder / "scenarios" / "first.yaml")
    twin("run", "scenarios/first.yaml")
    run = (folder / "runs" / "last").resolve()
    shutil.copytree(run / "registrar", folder / "audit")
    shutil.copytree(ROOT / "docs" / "examples", folder / "docs" / "examples")
    shorten(folder / "docs" / "examples" / "recorder.yaml")
    return folder


def shorten(file: Path) -> None:
    """Rewrite a scenario, so that it is short and takes its time on a busy machine."""
    text = patient(file.read_text())
    text = text.replace("duration: 7s", "duration: 2s")
    file.write_text(re.sub(r"bots: \d+", "bots: 5", text))


def patient(text: str) -> str:
    """Return a scenario that passes however late its events are; any other text as it is."""
    if "phases:" not in text or "limits:" in text:
        return text
    text = re.sub(r"(latency\S*: \[p\(\d+\)<)\w+", r"\g<1>60s", text)
    return f"{text}limits: {{max_slip_p99_ms: 10000}}\n"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", [p for p in PAGES if commands(p)], ids=lambda p: p.name)
def test_commands_of_a_page_run_as_written(page: Path, project: Path, tmp_path: Path) -> None:
    """Each command ends with 0, or with the exit code that its comment announces."""
    run = (project / "runs" / "last").resolve()
    folder = tmp_path if any("twin init" in line for line in commands(page)) else project
    for text, after in blocks(page, "yaml", "python"):
        if saved := SAVED_AS.search(after):
            place = (tmp_path if saved[1].endswith(".yaml") else folder) / saved[1]
            place.parent.mkdir(exist_ok=True)
            place.write_text(patient(text))
    (project / "stricter.yaml").write_text("thresholds: {publish_latency: [p(99)<60s]}\n")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for line in commands(page):
        if line.startswith("make "):
            assert f"\n{line.split()[1]}:" in (ROOT / "Makefile").read_text(), line
            continue
        if RUN_ELSEWHERE.search(line):
            continue
        if line.startswith("cd "):
            folder = folder / line.removeprefix("cd ")
            continue
        expected = int(found[1]) if (found := re.search(r"# exit (\d+)", line)) else 0
        done = typed(SOME_RUN.sub(str(run), line), folder, {**os.environ, "PATH": path})
        assert done.returncode == expected, f"{line}\n{done.stdout}{done.stderr}"
        if line.startswith("twin init"):
            [first] = folder.rglob("scenarios/first.yaml")
            shorten(first)


def typed(line: str, folder: Path, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a line, in a shell if it needs one."""
    command, *words = shlex.split(line, comments=True)
    if command == "twin" and not OF_A_SHELL.search(line):
        return twin_apart(folder, *words, env=env)
    return subprocess.run(
        ["/bin/bash", "-c", line],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_options_of_commands_of_a_page_exist(page: Path) -> None:
    """Each line that calls twin names a command that there is, with options that it has."""
    for line in calls(page):
        assert not unknown(line), f"{line}: {unknown(line)}"


def test_a_command_that_is_not_there_is_found() -> None:
    """The check above tells a wrong option, a wrong command and a wrong member of a group."""
    assert not unknown("twin spec apply specs/bot.yaml --nats nats://127.0.0.1:4222 --check")
    for line in ("twin run a.yaml --nat x", "twin rum a.yaml", "twin registrar server --store a"):
        assert unknown(line), line


def calls(page: Path) -> list[str]:
    """Return the lines of a page's blocks that begin with a call of twin, continued ones whole."""
    texts = (text.replace("\\\n", " ") for text, _ in blocks(page, "sh", "console", "text"))
    return [line for text in texts for line in text.splitlines() if line.startswith("twin ")]


def unknown(line: str) -> list[str]:
    """Return what of a call of twin the generated reference does not know."""
    words = line.partition("  #")[0].split()
    found = [name for name in REFERENCE if f"{' '.join(words)} ".startswith(f"{name} ")]
    if not found:
        return words[:3]
    flags = [word.partition("=")[0] for word in words if word.startswith("--")]
    return [flag for flag in flags if flag not in REFERENCE[max(found, key=len)]]


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_yaml_of_a_page_is_valid(page: Path, tmp_path: Path) -> None:
    """Every YAML block is a scenario or a part of one, a spec, or a file of rules."""
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "bot.yaml").write_text((ROOT / "specs" / "BotSpec.yaml").read_text())
    file = tmp_path / "scenarios" / "block.yaml"
    for text, _ in blocks(page, "yaml"):
        found = read_text(text).value
        if "rules" in found:
            file.write_text(text)
            Rules.load(file)
        elif "kind" not in found:
            file.write_text(to_yaml({**MINIMAL, **found}))
            load_scenario(str(file))


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_links_of_a_page_lead_to_files(page: Path) -> None:
    """Relative links name files of the repository."""
    broken = [
        link
        for link in LINK.findall(page.read_text())
        if "://" not in link and not (page.parent / link).exists()
    ]
    assert not broken


@pytest.mark.parametrize("name", GENERATED)
def test_generated_pages_are_current(name: str) -> None:
    """What `make docs` writes is what is there, to the byte."""
    assert (ROOT / name).read_text() == GENERATED[name], "run `make docs`"


def test_the_reference_has_all_that_there_is() -> None:
    """Every command, fault and code has its place, and the library its twelve scenarios or more."""
    assert {f"## twin {name}" for name in COMMANDS} <= headings("cli") | groups("cli")
    assert {f"### {name}" for name in MALFUNCTIONS} < headings("faults")
    assert all(
        f"| {number} | `{one.name}` |" in GENERATED[CODES_PAGE] for number, one in CODES.items()
    )
    assert GENERATED["docs/library.md"].count("\n## [") >= 12


def headings(page: str) -> set[str]:
    """Return the headings of a page of the reference."""
    text = GENERATED[f"docs/reference/{page}.md"]
    return {line for line in text.splitlines() if line.startswith("##")}


def groups(page: str) -> set[str]:
    """Return the headings of groups of commands that have only their members on the page."""
    return {line.rpartition(" ")[0] for line in headings(page)}
