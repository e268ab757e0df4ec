"""Whether a measurement is of the present Verilog and flow; kept in a file, as it takes minutes."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.cost_engine.families import FAMILIES
from benchmarks.cost_engine.origin import flow_digest, rtl_digest, verilog_digest, write_verilog
from benchmarks.cost_engine.synthesis import Measurement
from sqhw.atomic import atomic_write_text

FILE = "present.json"


@dataclass(frozen=True)
class Present:
    """What the measured engines are made of now.

    Parameters
    ----------
    rtl : dict of str to str
        Digest of the Python files, of each family: as long as they stay, so does the rest.
    flow : dict of str to str
        Digest of each family's flow.
    verilog : dict of str to str
        Digest of each engine's Verilog, by `name_of`.
    """

    rtl: dict[str, str]
    flow: dict[str, str]
    verilog: dict[str, str]

    def status(self, measured: Measurement) -> str:
        """Return ``present``, or what is older than it is now: ``older RTL``, ``older flow``."""
        if self.verilog.get(name_of(measured)) != measured.verilog:
            return "older RTL"
        if self.flow[measured.family] != measured.flow:
            return "older flow"
        return "present"


def name_of(measured: Measurement) -> str:
    """Return the name of an engine in the tables."""
    return f"{measured.family} {measured.point.number}"


def origin(measured: Measurement, present: Present) -> str:
    """Return the commit that a measurement is of, and whether that is the present engine."""
    return f"{measured.commit}, {present.status(measured)}"


def origins(measurements: Iterable[Measurement], present: Present) -> str:
    """Return what measurements are of, and how many of each."""
    counts = Counter(
        f"{one.commit} (sources {one.rtl}, {present.status(one)})" for one in measurements
    )
    return ", ".join(f"{count} on {name}" for name, count in sorted(counts.items()))


def read_present(data: Path) -> Present:
    """Return what is in the file."""
    return Present(**json.loads((data / FILE).read_text(encoding="utf-8")))


def find_present(measurements: Mapping[str, Iterable[Measurement]], data: Path) -> Present:
    """Return it from the file, after bringing that up to date if the Python files are others.

    Parameters
    ----------
    measurements : mapping of str to iterable of Measurement
        Measurements of each family.
    data : path
        Folder of the file.
    """
    rtl = {name: rtl_digest(FAMILIES[name]) for name in measurements}
    flow = {name: flow_digest(FAMILIES[name]) for name in measurements}
    every = [one for family in measurements.values() for one in family]
    known = read_present(data) if (data / FILE).is_file() else Present({}, {}, {})
    verilog = known.verilog if (known.rtl, known.flow) == (rtl, flow) else {}
    verilog = {name_of(one): verilog.get(name_of(one)) or emitted_digest(one) for one in every}
    found = Present(rtl, flow, verilog)
    if found != known:
        atomic_write_text(data / FILE, json.dumps(vars(found), indent=1) + "\n")
    return found


def emitted_digest(measured: Measurement) -> str:
    """Return the digest of the Verilog that a measured engine has now."""
    with TemporaryDirectory() as folder:
        write_verilog(FAMILIES[measured.family], measured.point, Path(folder))
        return verilog_digest(Path(folder))
