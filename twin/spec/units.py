"""Physical quantities as types, and the base class of every `params` block.

A quantity is a finite float in the unit that its name says; bool and string are
refused. Its JSON Schema carries the unit symbol under `unit`. Quantities that
cannot be negative in a spec (power, mass, duration, ...) have a minimum of 0;
angles, decibels and coordinates are signed.

    class LampParams(Params):
        power_w: Watts = Field(default=5.0, description="Draw while lit.")
        beam_deg: Degrees = Field(default=30.0, gt=0, le=180, description="Full cone.")
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

__all__ = [
    "Amperes",
    "Coordinate",
    "DecibelSquareMetres",
    "Decibels",
    "DecibelsMilliwatt",
    "DegC",
    "Degrees",
    "Fraction",
    "Hertz",
    "Joules",
    "JoulesPerKelvin",
    "Kelvins",
    "KilobitsPerSecond",
    "Kilograms",
    "KilogramsSquareMetre",
    "Metres",
    "MetresPerSecond",
    "MetresPerSecondSquared",
    "MicrosievertsPerHour",
    "Microteslas",
    "Milliseconds",
    "NewtonMetres",
    "Newtons",
    "Ohms",
    "Params",
    "Percent",
    "Point",
    "Radians",
    "RadiansPerSecond",
    "Seconds",
    "Volts",
    "WattHours",
    "Watts",
    "WattsPerKelvin",
]


class Params(BaseModel):
    """Typed physics of one component: immutable, every field has a default, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def _quantity(unit: str, ge: float | None = None, le: float | None = None) -> FieldInfo:
    field: FieldInfo = Field(
        ge=ge, le=le, strict=True, allow_inf_nan=False, json_schema_extra={"unit": unit}
    )
    return field


Amperes = Annotated[float, _quantity("A", ge=0)]
Coordinate = Annotated[float, _quantity("m")]
DecibelSquareMetres = Annotated[float, _quantity("dBsm")]
Decibels = Annotated[float, _quantity("dB")]
DecibelsMilliwatt = Annotated[float, _quantity("dBm")]
DegC = Annotated[float, _quantity("degC", ge=-273.15)]
Degrees = Annotated[float, _quantity("deg")]
Fraction = Annotated[float, _quantity("1", ge=0, le=1)]
Hertz = Annotated[float, _quantity("Hz", ge=0)]
Joules = Annotated[float, _quantity("J", ge=0)]
JoulesPerKelvin = Annotated[float, _quantity("J/K", ge=0)]
Kelvins = Annotated[float, _quantity("K", ge=0)]
Kilograms = Annotated[float, _quantity("kg", ge=0)]
KilogramsSquareMetre = Annotated[float, _quantity("kg m2", ge=0)]
KilobitsPerSecond = Annotated[float, _quantity("kbit/s", ge=0)]
Metres = Annotated[float, _quantity("m", ge=0)]
MetresPerSecond = Annotated[float, _quantity("m/s", ge=0)]
MetresPerSecondSquared = Annotated[float, _quantity("m/s2", ge=0)]
MicrosievertsPerHour = Annotated[float, _quantity("uSv/h", ge=0)]
Microteslas = Annotated[float, _quantity("uT", ge=0)]
Milliseconds = Annotated[float, _quantity("ms", ge=0)]
NewtonMetres = Annotated[float, _quantity("N m", ge=0)]
Newtons = Annotated[float, _quantity("N", ge=0)]
Ohms = Annotated[float, _quantity("ohm", ge=0)]
Percent = Annotated[float, _quantity("%", ge=0, le=100)]
Radians = Annotated[float, _quantity("rad")]
RadiansPerSecond = Annotated[float, _quantity("rad/s", ge=0)]
Seconds = Annotated[float, _quantity("s", ge=0)]
Volts = Annotated[float, _quantity("V", ge=0)]
WattHours = Annotated[float, _quantity("Wh", ge=0)]
Watts = Annotated[float, _quantity("W", ge=0)]
WattsPerKelvin = Annotated[float, _quantity("W/K", ge=0)]

Point = tuple[Coordinate, Coordinate, Coordinate]
