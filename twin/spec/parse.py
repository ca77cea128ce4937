"""Documents to frozen models: every fault at once, each with file, line and column.

Validation is strict in the JSON sense: a list becomes a tuple and a text an enum member,
but `"5"` is no number, 5.0 no integer and `yes` no boolean.
"""

import json
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from twin.errors import InputError
from twin.spec.explain import explain
from twin.spec.locate import Fault, locate
from twin.spec.yaml import Document, Plain

__all__ = ["faults", "parse", "validate_plain"]

M = TypeVar("M", bound=BaseModel)


def parse(model: type[M], document: Document) -> M:
    """Return the document as a `model`; raises InputError with every Problem."""
    if document.value is None:
        raise InputError([document.problem((), "the file is empty")])
    try:
        return validate_plain(model, document.value)
    except ValidationError as error:
        problems = {
            document.problem(fault.path, message, key=fault.key)
            for fault, message in faults(model, document.value, error)
        }
        raise InputError(sorted(problems)) from error


def validate_plain(model: type[M], value: Plain) -> M:
    """Return plain values as a `model`; raises pydantic's ValidationError."""
    return model.model_validate_json(json.dumps(value), strict=True)


def faults(model: type[BaseModel], value: Plain, error: ValidationError) -> list[tuple[Fault, str]]:
    """Translate a ValidationError: where in `value` each fault is, and plain words for it."""
    schema = model.model_json_schema()
    return [
        (fault, explain(fault, value, schema))
        for fault in locate(error.errors(include_url=False), value)
    ]
