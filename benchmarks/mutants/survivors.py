"""Faults that the volume bench does not notice, and why."""

import re

#: Registers whose reset has an effect. All others may be undefined at every reset without effect,
#: see `benchmarks.mutants.undefined` and its test in ``tests/hdl/test_mutants.py``.
RESETS_NEEDED = {
    "accumulate.masks.double", "accumulate.sums__valid", "parameters.fsm_state",
    "sequencer.control__cycles", "sequencer.fsm_state", "sequencer.phases__busy",
    "sequencer.phases__fill", "sequencer.results__image", "write_back.active", "write_back.pipe",
    *(f"{part}.last_{stage}" for part in ("issuer", "accumulate") for stage in range(1, 5)),
}  # fmt: skip
NO_NEED = "written before it is read: undefined at every reset, nothing shows (tests/hdl)"
#: Flags that may be undefined in each cycle in which they should be 0, by the same test.
MAY_BE_HIGH = {
    "accumulate.lanes.valid_0", "accumulate.lanes.valid_1", "accumulate.valid",
    "accumulate.valid_1", "issuer.decoder.issue", "issuer.decoder.valid", "issuer.valid_1",
    "parameters.arrived",
}  # fmt: skip
STUCK_HIGH = "only its ones matter: undefined instead of 0, nothing shows (tests/hdl)"
#: Pattern of ``kind: place``, and the reason why such a fault survives.
REASONS = {
    r"flag stuck at 1: sequencer\.waits_first": (
        "always 1: the first slot of a tile begins with `Timing.rewind` cycles, 1 or more"
    ),
    r"counter one bit short: sequencer\.control__cycles": (
        "a run of 2^31 cycles: tests/hdl/test_sequencer.py sets the counter and notices it"
    ),
    r"counter one bit short: sequencer\.wait": (
        "less than half of its range: it begins at most at `Timing.min_slot_serial` - 1, a power "
        "of two less 1, as each channel has an entry"
    ),
}


def reason(kind: str, place: str) -> str | None:
    """Return the reason why a fault is not noticed, or None if it is open."""
    if kind.startswith("one reset"):
        return None if place in RESETS_NEEDED else NO_NEED
    if kind == "flag stuck at 1" and place in MAY_BE_HIGH:
        return STUCK_HIGH
    fault = f"{kind}: {place}"
    return next((why for pattern, why in REASONS.items() if re.fullmatch(pattern, fault)), None)
