"""Sweeps on Dask and submitit, and searches by Optuna, where these are installed."""

import socket
import time
import warnings
from pathlib import Path

import pytest
from command_line import refuse

from benchmarks.sweep.clusters import dask_cluster, start
from sqhw.environment.extras import EXTRAS
from sqhw.errors import SqhwError
from sqhw.steps.options import SweepOptions
from sqhw.sweep import parse_spec, sweep
from sqhw.sweep.store import Store

pytestmark = pytest.mark.filterwarnings("default")
SPEC = 'step = "size"\n[options]\nnetwork = "resnet8"\ndevice = "LFE5U-85F"\n'
PRODUCT = SPEC + "[product]\nbits = [2, 3, 4]\n"


def test_a_missing_package_is_named_with_its_extra(monkeypatch, capsys, tmp_path):
    missing = {name: extra for name, extra in EXTRAS.items() if extra == "sweep"}
    assert set(missing) == {"distributed", "submitit", "optuna"}
    monkeypatch.setattr("sqhw.environment.extras.has_package", lambda name: name not in missing)
    (tmp_path / "spec.toml").write_text(PRODUCT)
    words = ("sweep", tmp_path / "spec.toml", "--out", tmp_path / "out")
    error = refuse(monkeypatch, capsys, *words, "--submitit", "local")
    assert error.endswith("submitit, which is not installed; run: pip install 'sqhw[sweep]'")


def test_dask_computes_the_points(tmp_path):
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    )
    with cluster:
        options = SweepOptions(spec=Path("x"), out=tmp_path / "out", dask=cluster.scheduler_address)
        assert sweep(parse_spec("three", PRODUCT), options)["computed"] == 3


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch, capsys, tmp_path):
    pytest.importorskip("distributed")
    (tmp_path / "spec.toml").write_text(PRODUCT)
    words = ("sweep", tmp_path / "spec.toml", "--out", tmp_path / "out", "--wait", "0.5")
    with socket.socket() as silent:  # takes connections and says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        start = time.monotonic()
        error = refuse(monkeypatch, capsys, *words, "--dask", address)
    assert error.startswith(f"the Dask scheduler {address} does not answer (waited 0.5 s)")
    assert time.monotonic() - start < 10


def test_a_lost_scheduler_ends_the_sweep_and_the_same_command_goes_on(tmp_path):
    pytest.importorskip("distributed")
    spec, out = tmp_path / "spec.toml", tmp_path / "out"
    spec.write_text(f"{SPEC}[product]\ndensity = {[count / 200 for count in range(1, 201)]}\n")
    with dask_cluster(tmp_path / "dask", 1) as cluster:
        run = start(spec, out, "--dask", cluster.address, "--wait", "2")
        run.wait_for(5)
        cluster.scheduler.kill()
        _, error = run.process.communicate(timeout=60)
    last = error.splitlines()[-1]
    assert run.process.returncode == 1
    assert "Traceback" not in error
    assert last.startswith(f"sqhw: the Dask scheduler {cluster.address} does not answer (waited 2")
    assert last.endswith("of 200 points are there, and the same command computes the rest")
    there = run.points()
    again = start(spec, out).result()
    assert 5 <= there <= again["found"] < 200
    assert (again["found"] + again["computed"], again["failed"]) == (200, 0)


def test_submitit_computes_the_points(tmp_path):
    pytest.importorskip("submitit")
    options = SweepOptions(spec=Path("x"), out=tmp_path / "out", submitit="local", jobs=1)
    assert sweep(parse_spec("three", PRODUCT), options)["computed"] == 3
    wrong = parse_spec("wrong", PRODUCT + "[submitit]\nnonsense = 1\n")
    with pytest.raises(SqhwError, match=r"submitit, cluster local: .*nonsense"):
        sweep(wrong, SweepOptions(spec=Path("x"), out=tmp_path / "other", submitit="local"))


def test_optuna_goes_on_where_it_was(tmp_path):
    pytest.importorskip("optuna")
    text = SPEC + '[search]\npoints = {}\nsampler = "optuna"\n'
    text += 'objectives = ["images_per_second", "blocks"]\n'
    text += "[space]\ndensity = {{low = 0.1, high = 1, log = true}}\nbits = [2, 4]\n"
    options = SweepOptions(spec=Path("x"), out=tmp_path / "out", jobs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert sweep(parse_spec("six", text.format(6)), options)["computed"] == 6
        again = sweep(parse_spec("six", text.format(6)), options)
    assert (again["found"], again["computed"]) == (6, 0)
    densities = [one["options"]["density"] for one in Store.at(tmp_path / "out").records()]
    assert all(0.1 <= density <= 1 for density in densities)
    assert len(set(densities)) == 6
