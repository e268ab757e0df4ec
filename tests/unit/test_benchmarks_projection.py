"""The benchmark of the projection runs."""

from benchmarks.projection.__main__ import main


def test_every_part_of_the_projection_is_timed(capsys):
    main("lenet5-caffe", repeats=1, threads=1)
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("lenet5-caffe: 430,500 weights, ")
    rows = [line for line in rest if line.endswith(" s of one core")]
    assert len(rows) == 7
    assert all(float(row.split()[-5]) >= 0 for row in rows)
