"""The table of flipped bits: from a small run to the page."""

from benchmarks.faults import protected
from benchmarks.faults.__main__ import report_text

SAMPLE = {
    "injections": 10, "accuracy": 0.5, "accuracy_interval": [0.2366, 0.7634], "changed": 0.3,
    "changed_interval": [0.108, 0.603], "worst": 0.1,
}  # fmt: skip


def test_the_table_has_the_figures_of_the_record():
    field = {"rom": "weights", "layer": "conv", "field": "gap", "bits": 5} | SAMPLE
    rate = {"rate": 1e-4, "flips": 3.25, "unresolved": 0} | SAMPLE
    critical = {"rom": "params", "word": 7, "bit": 3, "layer": "conv", "field": "count"}
    found = {
        "file": "a.safetensors", "images": 100, "accuracy": 0.9, "seconds": 12.3,
        "bits": {"weights": 1000, "params": 200, "codebook": 30}, "descriptor_bits": 400,
        "fields": [field, {**field, "layer": "fc", "accuracy": 0.7}], "rates": [rate],
        "maps": [{"map": "input", **SAMPLE}], "map_rates": [rate],
        "critical": [critical | {"position": 2, "accuracy": 0.1}],
    }  # fmt: skip
    text = report_text(
        {"measured_on": {"commit": "1234567", "tools": {}}, "networks": {"Net": found}}
    )
    assert "Measured on commit 1234567." in text
    assert "90.00% right without damage. 1,230 bits of the" in text
    assert "50 injections in 12 s" in text
    assert "| 0.0001 |" in text
    assert "| gap   |         20 |   60.00% |" in text
    assert "| params |    7 |   3 |  conv | count 2 |   10.00% |" in text


def test_the_table_with_check_bits_has_both_curves():
    rate = {"rate": 1e-4, "flips": 3.25, "unresolved": 0} | SAMPLE
    words = {"corrected": 4.5, "detected": 0.25, "silent": 0.125, "accuracy": 0.75}
    found = {
        "measured_on": {"commit": "1234567", "tools": {}}, "file": "a.safetensors",
        "images": 100, "accuracy": 0.9, "bits": {"weights": 1000, "params": 200}, "rates": [rate],
        "protected": {"protection": "secded", "check_bits": 375, "rates": [rate | words]},
    }  # fmt: skip
    text = protected.report_text({"LeNet-5": found})
    assert "Measured on commit 1234567." in text
    assert "10\nmemories at each rate. 1,200 bits of the ROMs flip, with SECDED 375 check" in text
    (row,) = [line for line in text.splitlines() if line.startswith("| 0.0001")]
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    assert cells[1] == "50.00%"
    assert cells[4] == "75.00%"
    assert cells[7:] == ["4.50", "0.25", "0.12"]
