"""Designs and table of the benchmark of clusters."""

import pytest
from typer.testing import CliRunner

from benchmarks.clusters.__main__ import app, placed_or_failed
from benchmarks.clusters.designs import DESIGNS, predicted, program_of
from benchmarks.clusters.table import middle_of, report_text
from sqhw.cost_models.device import find_device
from sqhw.errors import SqhwError

DEVICE = find_device("LFE5U-85F")
PLACED = [
    {"seed": seed, "luts": 56_000 + seed, "ffs": 24_000, "brams": 192, "dsps": 128, "mhz": mhz}
    for seed, mhz in ((1, 90.0), (2, 80.0), (3, 100.0))
]


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.label)
def test_every_design_fits_the_device(design):
    found = predicted(program_of(design, DEVICE), DEVICE)
    assert found["brams"] <= DEVICE.brams
    assert found["luts"] <= DEVICE.luts
    assert found["dsps"] <= DEVICE.dsps


def test_the_median_placement_makes_the_rate():
    row = {
        "network": "resnet8", "cores": 4, "lanes": 32, "batch": 1,
        "predicted": {"luts": 1, "ffs": 2, "brams": 3, "dsps": 4, "mhz": 88.3,
                      "calibrated": False, "interval": 30_000.0},
        "cycles": {"interval": 30_000.0},
        "placed": [*PLACED, {"seed": 4, "failed": "it does not fit"}],
    }  # fmt: skip
    assert middle_of(row["placed"])["seed"] == 1
    text = report_text({"measured_on": {"commit": "0000000", "tools": {}}, "rows": [row]})
    cells = " ".join(text.split())
    assert "1 / 56,001" in cells
    assert "~88.3 | 80.0 90.0 100.0 | 3 | 30,000.0 / 30,000.0 | 3,000 | 23.4" in cells
    assert "resnet8, 4 x 32, seed 4: it does not fit." in text


def test_a_placement_that_failed_is_made_again(tmp_path):
    def fails():
        raise SqhwError("nextpnr is missing; see its log")

    path = tmp_path / "seed1.kept"
    assert placed_or_failed(1, path, "digest", fails) == {
        "seed": 1, "failed": "nextpnr is missing",
    }  # fmt: skip
    assert placed_or_failed(1, path, "digest", lambda: {"mhz": 90.0}) == {"seed": 1, "mhz": 90.0}
    assert placed_or_failed(1, path, "digest", fails) == {"seed": 1, "mhz": 90.0}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--seeds", "x"], "a seed must be 1 to"),
        (["--seeds", "9" * 5000], "must be 1 to"),
        (["--only", "resnet9-1x32"], "no design"),
    ],
)
def test_options_are_refused(options, reason, tmp_path):
    found = CliRunner().invoke(app, ["--out", str(tmp_path), *options])
    assert found.exit_code == 2
    assert reason in " ".join(found.output.split())
