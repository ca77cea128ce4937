"""The steady state: what must hold before anything is broken, and again at the end."""

from twin.verdict.conditions import parse_condition
from twin.verdict.manifest import Manifest, SteadyLook
from twin.verdict.result import Check

__all__ = ["check_steady"]


def check_steady(conditions: tuple[str, ...], manifest: Manifest) -> list[Check]:
    """Check every condition before and after; what did not hold before cannot be judged."""
    looks = {look.when: look for look in manifest.steady}
    return [
        _check(when, condition, looks.get(when))
        for when in ("before", "after")
        for condition in conditions
    ]


def _check(when: str, text: str, look: SteadyLook | None) -> Check:
    condition = parse_condition(text)
    limit = f"{condition.compare} {condition.bound:g}"
    check = Check(name=f"steady state {when}: {condition.metric}", ok=None, limit=limit)
    if look is None:
        return check.model_copy(update={"note": "nobody looked"})
    value = look.values.get(condition.metric)
    if value is None:
        return check.model_copy(update={"note": "it had no value"})
    ok = condition.holds({condition.metric: value})
    measured = {"measured": value, "samples": 1}
    if when == "before" and not ok:
        note = f"it was {value:g} before anything was broken"
        return check.model_copy(update={**measured, "note": note})
    note = "" if ok else f"it was {value:g} in the end"
    return check.model_copy(update={**measured, "ok": ok, "note": note})
