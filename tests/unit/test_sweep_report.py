"""The report of a sweep: fronts, and one page that needs no other file."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from command_line import run
from hypothesis import given
from hypothesis import strategies as st

from sqhw.sweep.front import pareto_front
from sqhw.sweep.point import make_point
from sqhw.sweep.report import page, report_sweep
from sqhw.sweep.store import Store
from sqhw.sweep.swept import STEPS
from sqhw.sweep.versions import versions

PAGE = Path(__file__).parents[2] / "sqhw/sweep/page.html"
NODE = shutil.which("node")


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12))
def test_the_front_is_what_nothing_is_better_than(pairs):
    points = [{"accuracy": a, "rom": r} for a, r in pairs]
    expected = [
        (a, r)
        for a, r in pairs
        if not any(x >= a and y <= r and (x, y) != (a, r) for x, y in pairs)
    ]
    front = [(p["accuracy"], p["rom"]) for p in pareto_front(points, ("accuracy", "rom"))]
    assert sorted(front) == sorted(expected)
    assert [a for a, _ in front] == sorted((a for a, _ in front), reverse=True)


def test_points_without_a_figure_or_a_place_are_on_no_front():
    points = [{"accuracy": 1, "rom": None}, {"accuracy": 1, "rom": 1, "fits": False}]
    assert pareto_front(points, ("accuracy", "rom")) == []


class Elements(HTMLParser):
    """Tags with their attributes, and the texts of the scripts."""

    def __init__(self):
        super().__init__()
        self.tags, self.scripts = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] == "script":
            self.scripts[-1] += data


def test_the_page_is_one_file_and_keeps_hostile_texts_as_data():
    hostile = "</script><img src=http://x.test/ onerror=alert(1)><!--"
    data = {"rows": [{"address": hostile}], "failures": [], "pairs": {}}
    parser = Elements()
    parser.feed(page(data))
    assert json.loads(parser.scripts[0]) == data
    assert len(parser.scripts) == 2
    assert not {"img", "link", "iframe"} & {tag for tag, _ in parser.tags}
    assert not any({"src", "href"} & attributes.keys() for _, attributes in parser.tags)
    assert "default-src 'none'" in page(data)
    urls = set(re.findall(r"https?://[^\"\s]+", PAGE.read_text()))
    assert urls == {"http://www.w3.org/2000/svg"}  # the name of SVG, which nothing fetches
    assert "innerHTML" not in PAGE.read_text()


@pytest.mark.skipif(NODE is None, reason="needs node")
def test_the_page_sorts_and_filters():
    script = PAGE.read_text().split("<script>")[1].split("</script>")[0]
    script += """
const rows = [{a: 2, t: "x"}, {a: null, t: "Y"}, {a: 10, t: "z", "option.bits": 4}];
console.log(JSON.stringify([
  sorted(rows, "a", false).map(row => row.t), sorted(rows, "a", true).map(row => row.t),
  ["a<5", "a>=2 z", "y", "bits=4", "none>1", ""].map(f => rows.filter(r => passes(r, f)).length),
  shown(null), shown(1234567), shown(0.123456789),
]));"""
    done = subprocess.run([NODE, "-e", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [
        ["x", "z", "Y"], ["z", "x", "Y"], [1, 1, 1, 1, 0, 3], "?", "1,234,567", "0.12346",
    ]  # fmt: skip


def test_a_report_has_the_fronts_of_each_task(tmp_path, monkeypatch, capsys):
    store = Store.create(tmp_path / "out", versions())
    for density, accuracy, rom, speed in ((0.1, 0.9, 10, 5.0), (0.2, 0.8, 20, 9.0)):
        values = {"source": str(PAGE), "data": "digits", "density": density}
        point = make_point(STEPS["quantize"], values, versions())
        figures = {"network": "n", "accuracy": accuracy, "rom": rom, "images_per_second": speed}
        store.finish(store.begin(), point, figures, {})
    store.fail(make_point(STEPS["quantize"], values | {"bits": 1}, versions()), "too wide", "")
    code, out, _ = run(monkeypatch, capsys, "report", tmp_path / "out", "--json")
    assert code == 0
    result = json.loads(out)
    assert (result["points"], result["failed"]) == (2, 1)
    assert [(f["task"], f["cost"], [p["gain"] for p in f["points"]]) for f in result["fronts"]] == [
        ("n on digits", "rom", [0.9]),
        ("n on digits", "images_per_second", [0.9, 0.8]),
    ]
    text = (tmp_path / "out/report.html").read_text()
    assert "--density=0.1" in text
    assert "too wide" in text
    assert report_sweep(tmp_path / "out", tmp_path / "x.html")["points"] == 2
