"""Faults that the volume bench does not notice, and why."""

import re

#: Registers whose reset has an effect, or may have: undefined bits in the sequencer's come out,
#: though no values were found that do. All others may be undefined at every reset: nothing shows,
#: see `benchmarks.mutants.undefined` and the test of it in ``tests/hdl/test_mutants.py``.
RESETS_NEEDED = {
    "active", "masks.double", "parameters.fsm_state", "pipe", "sequencer.busy",
    "sequencer.fsm_state", "sequencer.image", *(f"last_{stage}" for stage in range(1, 10)),
    "sequencer.begun", "sequencer.cycles", "sequencer.fill", "sequencer.fresh",
    "sequencer.is_last", "sequencer.left", "sequencer.single", "sequencer.wait",
    "sequencer.wait_first", "sequencer.wait_other", "sequencer.waiting", "sequencer.waits_first",
    "sequencer.waits_other",
}  # fmt: skip
NO_NEED = "written before it is read: undefined at every reset, nothing shows (tests/hdl)"
#: Pattern of ``kind: place``, and the reason.
REASONS = {
    r"flag stuck at 1: (decoder\.(issue|valid)|lanes\.valid_\d|valid_\d)": (
        "what is accumulated before the first entry of a channel is thrown away by that entry"
    ),
    r"counter one bit short: sequencer\.cycles": "not reached: a run of 2^31 cycles",
    r"counter one bit short: (entries|parameters\.reader)\.addr": (
        "not reached: an image of more than half of the ROM"
    ),
    r"counter one bit short: (channel.*|tile_row|sequencer\.tile)": (
        "not reached: maps that fill more than half of the activation memory's rows"
    ),
    r"counter one bit short: masks\.(step_)?[xy](_\d)?": (
        "not reached: maps of more than half of the largest height or width"
    ),
    r"counter one bit short: sequencer\.left": (
        "not reached: a channel of more than half of the entries that its count can hold"
    ),
}


def reason(kind: str, place: str) -> str | None:
    """Return why a fault is not noticed, or None if that is open."""
    if kind.startswith("one reset"):
        return None if place in RESETS_NEEDED else NO_NEED
    fault = f"{kind}: {place}"
    return next((why for pattern, why in REASONS.items() if re.fullmatch(pattern, fault)), None)
