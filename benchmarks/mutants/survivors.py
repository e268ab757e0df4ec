"""Faults that no run can notice, and why."""

import re

#: Pattern of ``kind: place``, and the reason.
REASONS: dict[str, str] = {}


def reason(kind: str, place: str) -> str | None:
    """Return why a fault has no effect, or None if it should have one."""
    fault = f"{kind}: {place}"
    return next((why for pattern, why in REASONS.items() if re.fullmatch(pattern, fault)), None)
