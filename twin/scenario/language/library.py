"""The index of shipped scenarios, from what they say of themselves.

`python -m twin.scenario.library docs/library.md` writes the page again.
"""

import sys
from pathlib import Path

from twin.scenario.language.load import load_scenario
from twin.scenario.language.model import Scenario
from twin.scenario.language.values import NS_PER_S

__all__ = ["library_page"]

HEAD = """# The scenarios that come with twin

Each teaches one thing. `twin run scenarios/NAME.yaml` runs one in a clone,
`twin run builtin:NAME` anywhere; all of them are run by the tests.

"""


def library_page(folder: Path) -> str:
    """Return the page as Markdown: a section for each scenario file of `folder`, by name."""
    loaded = [load_scenario(str(path)) for path in sorted(folder.glob("*.yaml"))]
    return HEAD + "\n".join(_section(one.scenario) for one in loaded)


def _section(scenario: Scenario) -> str:
    bots = sum(fleet.count for fleet in scenario.fleet.values())
    faults = ", ".join(f"`{event.do.fault}`" for event in scenario.events) or "none"
    facts = f"{bots} bots, {scenario.duration_ns / NS_PER_S:g} s ({scenario.pace.value}); faults: "
    tags = f"; tags: {', '.join(scenario.tags)}" if scenario.tags else ""
    return (
        f"## [{scenario.name}](../scenarios/{scenario.name}.yaml)\n\n"
        f"{scenario.description.strip()}\n\n{facts}{faults}{tags}\n"
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(library_page(Path("scenarios")), encoding="utf-8")
