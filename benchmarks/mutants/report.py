"""The mutant table."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from benchmarks.engine.table import markdown
from benchmarks.mutants.survivors import reason
from benchmarks.origin import sentence

UNEXPLAINED = "unexplained"
#: What a bench's sentence has in it, and how the fault was noticed; else values differ.
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
    left = [[f"{kind}: {place}", reason(kind, place) or UNEXPLAINED]
            for kind, place, networks, _ in rows if not networks]  # fmt: skip
    late = Counter(networks for _, _, networks, _ in rows if networks)
    first = sum(late[n] for n in (1,))
    return "\n".join(
        [
            sentence(record["measured_on"]),
            (
                f"Each fault ran on up to {record['networks']} random networks in the volume bench "
                "(CXXRTL): registers random at power-up, two runs of each network and four frames "
                "that end in a reset. A fault is noticed when activations, results or cycles "
                "differ, a rule of the interface is broken, or a wait is longer than the schedule "
                f"allows. {first} were noticed on the first network, all by the "
                f"{max(late, default=0)}th.\n"
            ),
            markdown(
                ("fault", "number", "noticed", "without effect", UNEXPLAINED), [*counts, total]
            ),
            "How they were noticed:\n",
            markdown(("sign", "faults"), [[way, str(n)] for way, n in ways.most_common()]),
            "Faults that cannot be noticed, because they change nothing that the engine shows:\n",
            markdown(("fault", "why"), left),
        ]
    )


def _counts(kind: str, rows: list[Any]) -> list[str]:
    noticed = sum(networks > 0 for _, _, networks, _ in rows)
    known = sum(not networks and bool(reason(kind, place)) for _, place, networks, _ in rows)
    numbers = (len(rows), noticed, known, len(rows) - noticed - known)
    return [kind, *map(str, numbers)]


def _way(said: str) -> str:
    return next((way for word, way in WAYS.items() if word in said), "a broken rule")
