"""What every component of a spec has, and the empty params of those without numbers."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, create_model

from twin.spec.units import Params

__all__ = ["Component", "ComponentKind", "NoParams", "Part"]

Port = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
"""The name of something that one component provides and others consume."""


class Part(BaseModel):
    """A part of a spec: immutable, no unknown keys, no infinite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class NoParams(Params):
    """This component has no numbers of its own."""


class Component(Part):
    """One component of a bot."""

    type: str
    provides: tuple[Port, ...] = Field(
        default=(), description="What it offers to other components."
    )
    consumes: tuple[Port, ...] = Field(default=(), description="What it needs of other components.")
    enabled: bool = Field(default=True, description="Whether it is switched on.")
    params: Params = Field(default=NoParams(), description="Its physics.")


@dataclass(frozen=True, slots=True)
class ComponentKind:
    """One row of the table of components.

    `kind` is what a spec gives as `type`; `provides` and `enabled` hold where a spec is
    silent. `implicit` is provided without being listed. `required` is a matter of the
    profile qiki.
    """

    name: str
    kind: str
    purpose: str
    provides: tuple[str, ...] = ()
    consumes: tuple[str, ...] = ()
    implicit: tuple[str, ...] = ()
    params: type[Params] = NoParams
    enabled: bool = True
    required: bool = False

    def model(self) -> type[Component]:
        """Return the model of this component, with its own type and params."""
        fields: dict[str, Any] = {  # create_model's own type for (annotation, default)
            "type": (Literal[self.kind], Field(description="Always this.")),
            "provides": (
                tuple[Port, ...],
                Field(default=self.provides, description=_of("provides")),
            ),
            "enabled": (bool, Field(default=self.enabled, description=_of("enabled"))),
            "params": (self.params, Field(default=self.params(), description=_of("params"))),
        }
        title = "".join(word.capitalize() for word in self.name.split("_"))
        return create_model(title, __base__=Component, __doc__=self.purpose, **fields)


def _of(field: str) -> str:
    return Component.model_fields[field].description or ""
