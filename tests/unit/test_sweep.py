"""Points of a sweep: addressed by what they depend on, whole or not there, never lost."""

import errno
import json
import os
import shlex
import socket
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import refuse, run

import sqhw.sweep.driver as driver_module
import sqhw.sweep.worker as worker
from sqhw.errors import SqhwError
from sqhw.steps.options import SizeOptions, SweepOptions
from sqhw.steps.size import size_network
from sqhw.sweep import parse_spec, sweep
from sqhw.sweep.driver import MAX_ATTEMPTS, Driver
from sqhw.sweep.executors import Place
from sqhw.sweep.point import Point, make_point
from sqhw.sweep.store import Store
from sqhw.sweep.swept import STEPS
from sqhw.sweep.versions import check_versions, versions

SPEC = 'step = "size"\n[options]\nnetwork = "resnet8"\ndevice = "LFE5U-85F"\n'
SPEC += "[product]\nbits = [2, 3]\ndensity = [0.5, 1]\n"
OPTIONS = {"network": "resnet8", "device": "LFE5U-85F"}


@pytest.fixture
def here(monkeypatch):
    """Sweeps run in a thread of this process."""

    def place(_):
        executor = ThreadPoolExecutor(1)
        return Place(executor, 1, executor.shutdown)

    monkeypatch.setattr("sqhw.sweep.run.local_place", place)


@pytest.fixture
def quick(monkeypatch):
    """Points take no time and have a figure; returns the list of those that were computed."""
    computed = []

    def compute(point, folder):
        computed.append(point.address)
        return {"bits": point.options["bits"]}, {"network": "none", "rom": point.options["bits"]}

    monkeypatch.setattr(worker, "compute", compute)
    return computed


def options(folder, **more):
    return SweepOptions(spec=Path("none"), out=folder / "out", **more)


def point(**chosen):
    return make_point(STEPS["size"], OPTIONS | chosen, versions())


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_point_has_the_result_and_the_command_of_its_step(tmp_path, here, monkeypatch, capsys):
    result = sweep(parse_spec("four", SPEC), options(tmp_path))
    assert (result["points"], result["computed"], result["failed"]) == (4, 4, 0)
    records = list(Store.at(tmp_path / "out").records())
    assert len(records) == 4
    for record in records:
        chosen = record["options"]
        full = json.loads((tmp_path / "out/points" / record["address"] / "result.json").read_text())
        expected = size_network(
            SizeOptions(bits=chosen["bits"], density=chosen["density"], **OPTIONS)
        )
        assert full == json.loads(json.dumps(expected))
        assert record["figures"]["blocks"] == expected["devices"][0]["blocks"]
    words = shlex.split(records[0]["command"])
    code, out, _ = run(monkeypatch, capsys, *words[1:])
    assert code == 0
    stored = tmp_path / "out/points" / records[0]["address"] / "result.json"
    assert json.loads(out) == json.loads(stored.read_text())


def test_sweeps_share_points_and_go_on(tmp_path, here, quick):
    sweep(parse_spec("four", SPEC), options(tmp_path))
    before = tree(tmp_path)
    again = sweep(parse_spec("four", SPEC), options(tmp_path))
    assert (again["found"], again["computed"]) == (4, 0)
    assert tree(tmp_path) == before
    wider = sweep(parse_spec("six", SPEC.replace("[2, 3]", "[2, 3, 4]")), options(tmp_path))
    assert (wider["found"], wider["computed"]) == (4, 2)
    assert len(quick) == len(set(quick)) == 6
    assert not list((tmp_path / "out/unfinished").iterdir())


def test_an_address_depends_on_all_that_the_result_depends_on(tmp_path, monkeypatch):
    one, other = tmp_path / "one.toml", tmp_path / "other.toml"
    one.write_text("a")
    other.write_text("a")
    first = point(technology=str(one))
    assert first.address == point(technology=str(other)).address  # the content counts
    other.write_text("b")
    addresses = {
        p.address
        for p in (
            first,
            point(technology=str(other)),
            point(),
            point(bits=4),
            replace(first, step="compress"),
            replace(first, versions=versions() | {"numpy": "0"}),
        )
    }
    assert len(addresses) == 6
    assert point(bits=None).address == point().address  # as a default is
    monkeypatch.chdir(tmp_path)
    assert point(technology="one.toml").options == first.options
    assert Point.from_text(json.dumps(first.to_dict())) == first


def test_a_failure_is_listed_and_retried_on_demand(tmp_path, here, quick, monkeypatch, capsys):
    spec, broken = parse_spec("four", SPEC), {"on": True}
    compute = worker.compute

    def fails(point, folder):
        (folder / "half").write_text("half")
        if broken["on"] and point.options["bits"] == 3:
            raise SqhwError("no such thing")
        (folder / "half").unlink()
        return compute(point, folder)

    monkeypatch.setattr(worker, "compute", fails)
    result = sweep(spec, options(tmp_path))
    assert (result["computed"], result["failed"]) == (2, 2)
    assert [one["error"] for one in result["failures"]] == ["no such thing"] * 2
    assert not list((tmp_path / "out/unfinished").iterdir())
    broken["on"] = False
    again = sweep(spec, options(tmp_path))
    assert (again["found"], again["failed"], again["computed"]) == (2, 2, 0)
    retried = sweep(spec, options(tmp_path, retry=True))
    assert (retried["found"], retried["failed"], retried["computed"]) == (2, 0, 2)
    assert list(Store.at(tmp_path / "out").failures()) == []


def test_a_full_disk_stops_the_sweep_and_keeps_what_is_there(tmp_path, here, quick, monkeypatch):
    finish, done = Store.finish, []

    def full(self, folder, *parts):
        if len(done) == 2:
            (folder / "result.json").write_text("{")
            try:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError as error:
                raise SqhwError(f"cannot write {folder}: {error.strerror}") from None
        done.append(folder)
        finish(self, folder, *parts)

    monkeypatch.setattr(Store, "finish", full)
    with pytest.raises(SqhwError, match=r"No space left on device; 2 of 4 points are there"):
        sweep(parse_spec("four", SPEC), options(tmp_path))
    monkeypatch.setattr(Store, "finish", finish)
    assert len(list((tmp_path / "out/points").iterdir())) == 2
    assert not list((tmp_path / "out/unfinished").iterdir())
    assert not list((tmp_path / "out/failures").iterdir())
    assert sweep(parse_spec("four", SPEC), options(tmp_path))["found"] == 2


class Mortal(Executor):
    """Runs tasks at once; ends, and all that it has to do, when it meets a point of `bits`."""

    def __init__(self, bits):
        self.bits, self.dead = bits, False

    def submit(self, function, root, texts):
        future = Future()
        for text in texts:
            if self.dead or json.loads(text)["options"]["bits"] == self.bits:
                self.dead = True
                future.set_exception(BrokenExecutor("a process was terminated abruptly"))
                return future
            function(root, [text])
        future.set_result(json.dumps([worker.run_point(Store(Path(root)), Point.from_text(text))
                                      for text in texts]))  # fmt: skip
        return future


def test_a_point_that_ends_its_worker_costs_no_other_one(tmp_path, quick):
    store = Store.create(tmp_path / "out", versions())
    driver = Driver(store, lambda: Place(Mortal(3), 4, lambda: None), 8)
    tally = driver.run(point(bits=bits) for bits in range(1, 9))
    assert (tally.computed, tally.failed) == (7, 1)
    assert set(quick) == {point(bits=bits).address for bits in range(1, 9) if bits != 3}
    (failure,) = store.failures()
    assert failure["options"]["bits"] == 3
    assert f"its worker died {MAX_ATTEMPTS} times" in failure["error"]


def test_points_of_a_broken_pool_are_begun_again_with_nothing_beside(tmp_path, quick):
    beside = []

    class Pool(Mortal):
        def submit(self, function, root, texts):
            beside.append(len(driver._flight))
            return super().submit(function, root, texts)

    store = Store.create(tmp_path / "out", versions())
    driver = Driver(store, lambda: Place(Pool(3), 4, lambda: None), 8)
    assert driver.run(point(bits=bits) for bits in range(1, 9)).failed == 1
    first = beside.index(0, 1)  # after all that were in flight with it
    assert beside[:first] == list(range(first))
    assert beside[first : first + MAX_ATTEMPTS - 1] == [0] * (MAX_ATTEMPTS - 1)


def test_an_error_of_an_earlier_run_ends_no_point_that_is_tried_again(tmp_path, quick):
    store = Store.create(tmp_path / "out", versions())
    store.fail(point(bits=3), "of an earlier run", "")
    lost = Listed(3, RuntimeError("lost"))
    driver = Driver(store, lambda: Place(lost, 1, lambda: None), 2, retry=True)
    tally = driver.run(point(bits=bits) for bits in (3, 4))
    assert (tally.computed, tally.failed, tally.deaths) == (1, 1, MAX_ATTEMPTS)
    assert "its worker died" in tally.failures[0]["error"]


def test_a_place_is_asked_while_no_task_ends(tmp_path, quick, monkeypatch):
    class Silent(Executor):
        def submit(self, *_):
            return Future()

    def check():
        raise SqhwError("the scheduler does not answer any more")

    monkeypatch.setattr(driver_module, "LOOK_SECONDS", 0.01)
    store = Store.create(tmp_path / "out", versions())
    driver = Driver(store, lambda: Place(Silent(), 1, lambda: None, check=check), 1)
    # Without the question the driver would wait for ever.
    show = driver._show
    monkeypatch.setattr(
        driver, "_show", lambda *, look=False: pytest.fail("not asked") if look else show()
    )
    with pytest.raises(SqhwError, match="does not answer any more"):
        driver.run([point(bits=2)])


class Listed(Executor):
    """Runs tasks at once and keeps what they were; ends one at a point of `bits`, with `error`."""

    def __init__(self, bits, error):
        self.bits, self.error, self.tasks = bits, error, []

    def submit(self, function, root, texts):
        future, found = Future(), [json.loads(text)["options"]["bits"] for text in texts]
        self.tasks.append(found)
        if self.bits in found:
            function(root, texts[: found.index(self.bits)])
            future.set_exception(self.error)
        else:
            future.set_result(function(root, texts))
        return future


def test_of_a_lost_job_only_the_point_that_was_begun_is_put_alone(tmp_path, quick):
    store, executor = (
        Store.create(tmp_path / "out", versions()),
        Listed(3, RuntimeError("lost\nlog:" + " line" * 99)),
    )
    driver = Driver(store, lambda: Place(executor, 1, lambda: None, whole=True), 6)
    tally = driver.run(point(bits=bits) for bits in range(1, 7))
    assert executor.tasks == [[1, 2, 3, 4, 5, 6], [4, 5, 6], *[[3]] * (MAX_ATTEMPTS - 1)]
    assert (tally.computed, tally.failed, tally.deaths) == (5, 1, MAX_ATTEMPTS)
    assert "(RuntimeError: lost log: line line" in tally.failures[0]["error"]
    assert tally.failures[0]["error"].endswith("line ...)")


def test_a_scheduler_that_is_lost_is_asked_for_again(tmp_path, quick):
    opened = []

    def place():
        if len(opened) == 2:
            raise SqhwError("the scheduler does not answer")
        opened.append(Listed(2, CancelledError()))
        return Place(opened[-1], 1, lambda: None)

    driver = Driver(Store.create(tmp_path / "out", versions()), place, 3)
    with pytest.raises(SqhwError, match=r"does not answer; 2 of 3 points are there, and the same"):
        driver.run(point(bits=bits) for bits in range(1, 4))
    assert len(opened) == 2


def test_other_versions_are_refused_before_the_first_point(tmp_path, here, quick, monkeypatch):
    spec = parse_spec("four", SPEC)
    monkeypatch.setattr(worker, "versions", lambda: versions() | {"numpy": "1.0"})
    with pytest.raises(SqhwError, match=r"the worker on \S+ has numpy 1.0 and not"):
        sweep(spec, options(tmp_path))
    assert quick == []
    with pytest.raises(SqhwError, match="it has torch none and not 2, so results"):
        check_versions({"numpy": "1"}, {"numpy": "1", "torch": "2"}, "it")


def test_folders_of_others_are_refused(tmp_path, here, quick, monkeypatch, capsys):
    spec, out = parse_spec("four", SPEC), tmp_path / "out"
    sweep(spec, options(tmp_path))
    mark = out / "sweep.json"
    text = mark.read_text()
    mark.write_text(text.replace(versions()["sqhw"], "0.0.1"))
    with pytest.raises(SqhwError, match=r"out has sqhw 0\.0\.1 and not .*name another folder"):
        sweep(spec, options(tmp_path))
    mark.write_text(text.replace('"form": 1', '"form": 2'))
    with pytest.raises(SqhwError, match="form 2, this version reads form 1"):
        sweep(spec, options(tmp_path))
    (tmp_path / "own").mkdir()
    (tmp_path / "own/file").write_text("mine")
    with pytest.raises(SqhwError, match="has files and is no folder of a sweep"):
        sweep(spec, replace(options(tmp_path), out=tmp_path / "own"))
    error = refuse(monkeypatch, capsys, "report", tmp_path / "own")
    assert error.endswith("own: a folder, but not one of a sweep, which has a file sweep.json")


def test_a_folder_of_somebody_else_in_place_of_a_point_is_no_point(tmp_path, here, quick):
    out = tmp_path / "out"
    first, second = (point(bits=2, density=density) for density in (0.5, 1.0))
    (Store.create(out, versions()).points / first.address).mkdir()
    (out / "points" / second.address).mkdir()
    (out / "points" / second.address / "mine").write_text("mine")
    result = sweep(parse_spec("four", SPEC), options(tmp_path))
    assert (result["computed"], result["failed"], result["found"]) == (3, 1, 0)
    assert Store.at(out).has(first.address)  # an empty folder is replaced
    (failure,) = result["failures"]
    assert failure["address"] == second.address
    assert failure["error"].endswith("has files, but no point.json; remove that folder")
    assert (out / "points" / second.address / "mine").read_text() == "mine"


def test_what_dead_processes_left_is_removed(tmp_path):
    store = Store.create(tmp_path / "out", versions())
    mine = store.begin()
    dead = mine.with_name(mine.name.replace(f".{os.getpid()}.", f".{(1 << 22) + 7}."))
    dead.mkdir()
    (dead / "network.safetensors").write_bytes(b"half")
    Store.create(tmp_path / "out", versions())
    assert mine.exists()
    assert not dead.exists()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="states of processes in /proc")
def test_a_process_that_nobody_has_waited_for_is_dead(tmp_path):
    store = Store.create(tmp_path / "out", versions())
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as process:
        process.stdout.read()  # up to its end
        left = store.unfinished / f"{socket.gethostname()}.{process.pid}.{'0' * 16}"
        left.mkdir()
        while "Z" not in Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2]:
            time.sleep(0.01)
        Store.create(tmp_path / "out", versions())
    assert not left.exists()


def test_a_changed_input_is_no_result(tmp_path, here, monkeypatch):
    table = tmp_path / "table.toml"
    table.write_text("a")
    store = Store.create(tmp_path / "out", versions())
    stale = point(technology=str(table))
    table.write_text("other")
    outcome = worker.run_point(store, stale)
    assert "is another file here" in outcome["error"]
    assert not store.has(stale.address)


def test_processes_compute_what_the_command_says(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    spec = tmp_path / "two.toml"
    spec.write_text(SPEC.replace("[0.5, 1]", "[0.5]"))
    code, out, _ = run(
        monkeypatch, capsys, "sweep", spec, "--out", tmp_path / "out", "--jobs", 1, "--json"
    )
    assert code == 0
    assert json.loads(out)["computed"] == 2
    assert os.environ["OMP_NUM_THREADS"] == "7"  # the workers' own is 1
