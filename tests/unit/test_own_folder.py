"""A folder that sqhw empties is one that it made; any other is refused as it is."""

import shutil

import pytest

from sqhw.errors import SqhwError
from sqhw.files.own_folder import MARK, check_own, empty_own


def test_its_own_folder_is_emptied(tmp_path):
    folder = tmp_path / "a" / "run"
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("stays")
    for _ in range(2):
        assert empty_own(folder, "--work") == folder
        assert [path.name for path in folder.iterdir()] == [MARK]
        (folder / "build").mkdir()
        (folder / "build" / "old").write_text("")
        (folder / "log").write_text("")
        (folder / "link").symlink_to(outside)
    assert (outside / "file").read_text() == "stays"


def test_an_empty_folder_is_taken(tmp_path):
    assert (empty_own(tmp_path, "--work") / MARK).is_file()


def test_killed_while_it_is_emptied(tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def killed(path):
        raise Killed

    (empty_own(tmp_path, "--work") / "build").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(Killed):
            empty_own(tmp_path, "--work")
    empty_own(tmp_path, "--work")
    assert [path.name for path in tmp_path.iterdir()] == [MARK]


def test_how_to_go_on_from_a_folder_of_an_earlier_version(tmp_path):
    folder = tmp_path / "my demo"
    folder.mkdir()
    (folder / "result.json").write_text("{}")
    with pytest.raises(SqhwError) as error:
        check_own(folder, "--out")
    assert str(error.value) == (
        f"{folder} has files that sqhw did not write (it has no file .sqhw), which would be lost; "
        "name another folder with --out, or delete this one if nothing in it is to be kept, such "
        f"as what an earlier version of sqhw left: rm -r '{folder}'"
    )


@pytest.mark.parametrize("what", ["file", "folder", "link", "mark that is a link"])
def test_another_is_refused(tmp_path, what):
    mine, other = tmp_path / "mine", tmp_path / "other"
    empty_own(mine, "--work")
    (mine / "thesis").write_text("precious")
    if what == "file":
        other.write_text("precious")
    elif what == "link":
        other.symlink_to(mine)
    else:
        other.mkdir()
        (other / "thesis").write_text("precious")
    if what == "mark that is a link":
        (other / MARK).symlink_to(mine / MARK)
    with pytest.raises(SqhwError, match=r"^.*other .*name another folder with --work"):
        empty_own(other, "--work")
    kept = other if what == "file" else other / "thesis"
    assert kept.read_text() == "precious"
