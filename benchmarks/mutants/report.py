"""The mutant table."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from benchmarks.engine.table import markdown
from benchmarks.mutants.survivors import reason
from benchmarks.origin import sentence

OPEN = "open: neither noticed nor explained"
#: Networks for a fault in a reset; `benchmarks.mutants.undefined` shows more of the survivors.
RESET_NETWORKS = 10
#: Largest number of places that a row names.
MAX_PLACES = 20
#: Parts of a bench's sentence, each with the way in which the fault was noticed. A sentence without
#: any of them tells of different values.
WAYS = {
    "waited": "a wait beyond the schedule",
    "hangs": "the clock stands",
    "instead of": "other values",
    "cycles": "other cycles",
}


def report_text(record: Mapping[str, Any]) -> str:
    """Return the table of a record of `benchmarks.mutants`."""
    rows = record["rows"]
    kinds = list(dict.fromkeys(kind for kind, *_ in rows))
    counts = [_counts(kind, [row for row in rows if row[0] == kind]) for kind in kinds]
    total = ["all", *(str(sum(int(row[at]) for row in counts)) for at in range(1, 5))]
    ways = Counter(_way(said) for *_, said in rows if said)
    groups: dict[tuple[str, str], list[str]] = {}
    for kind, place, network, _ in rows:
        if not network:
            groups.setdefault((kind, reason(kind, place) or OPEN), []).append(place)
    left = [
        [
            kind,
            str(len(places)),
            why,
            ", ".join(places[:MAX_PLACES]) + ", ..." * (len(places) > MAX_PLACES),
        ]
        for (kind, why), places in groups.items()
    ]
    found_by = Counter(_network(network) for _, _, network, _ in rows if network)
    return "\n".join(
        [
            sentence(record["measured_on"]),
            *_again(record),
            *_source(record),
            (
                f"Each fault runs until it is noticed on {record['networks']} random networks and "
                "on directed ones, each with a feature that random ones seldom use, in the volume "
                "bench (CXXRTL): registers random at power-up, two runs of each network and frames "
                f"that end in a reset. A fault in one reset runs on {RESET_NETWORKS} random "
                "networks, on the small directed ones, and on one with a reset in each cycle of "
                "it. Two counters of the lane masks need an engine of more lanes. A fault is "
                "noticed when activations, results or cycles differ, a rule of the interface is "
                "broken, or a wait is longer than the schedule allows.\n"
            ),
            markdown(("fault", "number", "noticed", "explained", "open"), [*counts, total]),
            "How they were noticed:\n",
            markdown(("sign", "faults"), [[way, str(n)] for way, n in ways.most_common()]),
            "Networks that noticed them first:\n",
            markdown(("network", "faults"), [[name, str(n)] for name, n in found_by.most_common()]),
            "Faults that were not noticed:\n",
            markdown(("fault", "number", "why", "places"), left),
        ]
    )


def _again(record: Mapping[str, Any]) -> list[str]:
    """Return the sentence on a part of the faults that was run again later, if there is one."""
    if "again" not in record:
        return []
    origin, number = record["again"]
    said = f"without directed networks and resets in each cycle; {number} faults that were open"
    return [f"That is {said} then ran again with them. {sentence(origin)}"]


def _source(record: Mapping[str, Any]) -> list[str]:
    """Return the sentence on faults of the source that ran at another time, if they did."""
    if "source" not in record:
        return []
    return [f"Faults of the source ran by themselves. {sentence(record['source'])}"]


def _counts(kind: str, rows: list[Any]) -> list[str]:
    noticed = sum(bool(network) for _, _, network, _ in rows)
    known = sum(not network and bool(reason(kind, place)) for _, place, network, _ in rows)
    numbers = (len(rows), noticed, known, len(rows) - noticed - known)
    return [kind, *map(str, numbers)]


def _network(name: str | int) -> str:
    """Return the name of a directed network, or the words for a random one."""
    return "random" if isinstance(name, int) or name.startswith("random") else name


def _way(said: str) -> str:
    said = said.rpartition(": ")[2]  # the run and the reset before it come first
    return next((way for word, way in WAYS.items() if word in said), "a broken rule")
