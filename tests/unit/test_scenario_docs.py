"""What docs/scenarios.md says of faults and commands is what there is."""

import re
from pathlib import Path
from typing import get_args

from twin.scenario.language.bus_actions import BusFault
from twin.scenario.language.message_actions import MessagesFault
from twin.scenario.language.net_actions import NetworkFault
from twin.scenario.language.process_actions import ProcessFault
from twin.simulation.controls import CONTROLS, PROTOCOLS
from twin.simulation.malfunctions import MALFUNCTIONS, Malfunction

PAGE = Path(__file__).parents[2] / "docs" / "scenarios.md"


def row(name: str, model: type[Malfunction]) -> str:
    """Return a fault's row: parameters with their defaults, and what the code says it is."""
    fields = [(key, field) for key, field in model.model_fields.items() if key != "fault"]
    parameters = ", ".join(
        f"`{key}`" if field.is_required() else f"`{key}` ({_shown(field.default)})"
        for key, field in fields
    )
    return (
        f"| `{name}` | {parameters} | {(model.__doc__ or '').splitlines()[0].removesuffix('.')} |"
    )


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_every_malfunction_is_in_the_table_with_its_parameters() -> None:
    """The table of hardware faults is the one that the code would print, row by row."""
    page = PAGE.read_text()
    part = page[page.index("### Hardware") : page.index("## Commands")]
    found = [line for line in part.splitlines() if re.match(r"\| `\w+\.\w+` ", line)]
    assert found == [row(name, model) for name, model in MALFUNCTIONS.items()]


def test_every_fault_around_the_bots_is_in_the_guide() -> None:
    """docs/faults.md has a row for each fault that is none of hardware."""
    rows = re.findall(r"^\| `([\w.]+)` ", PAGE.with_name("faults.md").read_text(), re.MULTILINE)
    kinds = (ProcessFault, BusFault, NetworkFault, MessagesFault)
    models = [one for kind in kinds for one in get_args(kind)]
    names = [get_args(one.model_fields["fault"].annotation)[0] for one in models]
    assert sorted(rows) == sorted(names)


def test_every_command_is_named() -> None:
    """Every control command and every protocol has its row."""
    commands = PAGE.read_text().partition("## Commands")[2]
    assert re.findall(r"^\| `([a-z.]+\.[a-z_]+)` ", commands, re.MULTILINE) == list(CONTROLS)
    for protocol, _ in PROTOCOLS:
        assert f"`{protocol}`" in commands
