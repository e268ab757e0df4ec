"""A folder of ROM images or Verilog is that of one network, or refused by name."""

import json
from contextlib import suppress
from pathlib import Path

import pytest

from sqhw import atomic
from sqhw.errors import SqhwError
from sqhw.export.file_set import check_set, unchanged, write_set
from sqhw.export.manifest import check_manifest
from sqhw.machine.config import EngineConfig

ENGINE = EngineConfig(lanes=16, word_bits=18)
OLD = {"weights_0.hex": "0\n", "weights_1.hex": "1\n", "params.hex": "2\n", "weights_2.hex": "3\n"}
NEW = {"weights_0.hex": "4\n", "weights_1.hex": "1\n", "params.hex": "5\n", "codebook.hex": "6\n"}


def write(folder, texts):
    contents = {name: text.encode() for name, text in texts.items()}
    return write_set(folder, "rom", ENGINE, contents, {}, lambda name: name.endswith(".hex"))


def check(folder):
    check_set(folder, "rom", check_manifest(folder, "rom", ENGINE))


def content(folder):
    return {path.name: path.read_text() for path in folder.iterdir() if path.suffix == ".hex"}


class Killed(BaseException):
    pass


def killed_after(monkeypatch, steps):
    """End the process, as far as the folder can tell, after so many changes to it."""
    left = [steps]

    def counted(change):
        def counting(path, *arguments, **options):
            if "tmp" not in path.suffix or change is replace:
                if not left[0]:
                    raise Killed
                left[0] -= 1
            return change(path, *arguments, **options)

        return counting

    replace = Path.replace
    monkeypatch.setattr(Path, "replace", counted(Path.replace))
    monkeypatch.setattr(Path, "unlink", counted(Path.unlink))


def test_a_set_is_written_and_read(tmp_path):
    paths = write(tmp_path / "new", OLD)
    assert [path.name for path in paths] == [*OLD, "rom.json"]
    check(tmp_path / "new")
    assert content(tmp_path / "new") == OLD


def test_files_of_an_earlier_set_go_and_others_stay(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    write(tmp_path, OLD)
    write(tmp_path, NEW)
    check(tmp_path)
    assert content(tmp_path) == NEW
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_file_that_no_manifest_lists_is_not_replaced(tmp_path):
    (tmp_path / "params.hex").write_text("mine\n")
    with pytest.raises(SqhwError) as error:
        write(tmp_path, OLD)
    assert str(error.value) == (
        f"{tmp_path}/params.hex would be replaced, and no manifest of sqhw in {tmp_path} lists it; "
        "move it, or name another folder"
    )
    assert content(tmp_path) == {"params.hex": "mine\n"}
    (tmp_path / "params.hex").write_text(OLD["params.hex"])  # as an interrupted run leaves it
    write(tmp_path, OLD)
    (tmp_path / "codebook.hex").write_text("mine\n")
    with pytest.raises(SqhwError, match=r"codebook\.hex would be replaced"):
        write(tmp_path, NEW)
    check(tmp_path)


def test_killed_between_any_two_changes(tmp_path):
    """The folder is then the old set, the new one, or refused by name; writing anew mends it."""
    refused = []
    for steps in range(7):
        folder = tmp_path / str(steps)
        write(folder, OLD)
        with pytest.MonkeyPatch.context() as patch, suppress(Killed):
            killed_after(patch, steps)
            write(folder, NEW)
        try:
            check(folder)
            assert content(folder) in (OLD, NEW)
        except SqhwError as error:
            refused.append(str(error))
        write(folder, NEW)
        check(folder)
        assert content(folder) == NEW
    assert len(refused) == 5  # all but untouched and complete
    assert all("write them anew with `sqhw rom`" in message for message in refused)


@pytest.mark.parametrize("name", OLD)
def test_a_file_of_another_set_is_named(tmp_path, name):
    write(tmp_path, OLD)
    (tmp_path / name).write_text("7\n")
    with pytest.raises(SqhwError) as error:
        check(tmp_path)
    assert str(error.value) == (
        f"{tmp_path / name} is not the file that {tmp_path}/rom.json was written for: writing was "
        "interrupted, or the file was changed or copied here; write them anew with `sqhw rom`"
    )
    (tmp_path / name).unlink()
    with pytest.raises(SqhwError) as error:
        check(tmp_path)
    assert str(error.value) == (
        f"{tmp_path / name} is missing, which {tmp_path}/rom.json was written for; write them anew "
        "with `sqhw rom`"
    )


@pytest.mark.parametrize("digests", [None, {}, [], 3, "weights_0.hex"])
def test_a_manifest_without_digests(tmp_path, digests):
    write(tmp_path, OLD)
    manifest = json.loads((tmp_path / "rom.json").read_text())
    (tmp_path / "rom.json").write_text(json.dumps(manifest | {"files": digests}))
    with pytest.raises(SqhwError, match=r"rom\.json has no digests of the files it is for; write"):
        check(tmp_path)


@pytest.mark.parametrize("name", ["../outside", "/dev/zero", "sub/file", "..", "x" * 300])
def test_a_manifest_that_names_files_elsewhere(tmp_path, name):
    (tmp_path / "outside").write_text("")
    folder = tmp_path / "set"
    write(folder, OLD)
    (folder / "sub").mkdir()
    (folder / "sub" / "file").write_text("")
    manifest = json.loads((folder / "rom.json").read_text())
    (folder / "rom.json").write_text(json.dumps(manifest | {"files": {name: "0"}}))
    with pytest.raises(SqhwError, match="is missing, which"):
        check(folder)


@pytest.mark.parametrize("name", ["params.hex", "rom.json", "weights_2.hex"])
def test_what_is_no_regular_file_is_refused_before_anything_changes(tmp_path, name):
    write(tmp_path, OLD)
    (tmp_path / "real").write_text((tmp_path / name).read_text())
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to("real")
    before = content(tmp_path)
    with pytest.raises(SqhwError, match=rf"^cannot write .*{name}: it is a symbolic link, and "):
        write(tmp_path, NEW)
    assert content(tmp_path) == before
    assert (tmp_path / name).is_symlink()


def test_a_full_disk_names_the_file(tmp_path, monkeypatch):
    write(tmp_path, OLD)

    def full(handle, mode):
        os_close(handle)
        raise OSError(28, "No space left on device")

    os_close = atomic.os.close
    monkeypatch.setattr(atomic.os, "fdopen", full)
    with pytest.raises(SqhwError, match=r"^cannot write .*weights_0\.hex: No space left on dev"):
        write(tmp_path, NEW)
    check(tmp_path)
    assert content(tmp_path) == OLD


def test_a_file_of_a_set_that_is_larger_than_any_is_not_read(tmp_path):
    write(tmp_path, OLD)
    with (tmp_path / "params.hex").open("r+b") as file:
        file.truncate(1 << 40)  # takes no room on the disk
    with pytest.raises(SqhwError, match=r"params\.hex: is too large: 1,099,511,627,776 bytes"):
        check(tmp_path)


def meanwhile(monkeypatch, name, action):
    """Let something happen once when a file of that name has been written."""
    pending = [action]

    def replace(path, target):
        found = replaced(path, target)
        if Path(target).name == name and pending:
            pending.pop()()
        return found

    replaced = Path.replace
    monkeypatch.setattr(Path, "replace", replace)


@pytest.mark.parametrize("name", [*NEW, "rom.json"])
def test_of_two_writers_not_both_end_well_with_a_mixture(tmp_path, monkeypatch, name):
    """Another process writes the whole old set behind some file of the new one."""
    write(tmp_path, OLD | NEW)  # so that both replace files of an earlier set
    meanwhile(monkeypatch, name, lambda: write(tmp_path, OLD))
    with pytest.raises(SqhwError, match=rf"^another process wrote .*{tmp_path} meanwhile"):
        write(tmp_path, NEW)


@pytest.mark.parametrize("name", NEW)
def test_a_file_that_is_changed_while_its_set_is_written(tmp_path, monkeypatch, name):
    meanwhile(monkeypatch, "codebook.hex", lambda: (tmp_path / name).write_text("7\n"))
    with pytest.raises(
        SqhwError, match=rf"^another process .* meanwhile: .*{name} is not the file"
    ):
        write(tmp_path, NEW)


def test_a_file_that_the_earlier_set_has_not_written_stays(tmp_path):
    """Its name could be that of an image, but it is somebody else's."""
    write(tmp_path, OLD)
    (tmp_path / "weights_9.hex").write_text("mine")
    write(tmp_path, NEW)
    assert content(tmp_path) == {**NEW, "weights_9.hex": "mine"}


@pytest.mark.parametrize("back", [False, True])
def test_a_set_that_changes_while_it_is_used(tmp_path, back):
    """Also if the old content is there again at the end."""
    write(tmp_path, OLD)

    def use():
        with unchanged(tmp_path):
            write(tmp_path, NEW)
            if back:
                write(tmp_path, OLD)
            raise SqhwError("the RTL differs")

    with pytest.raises(SqhwError, match="was changed, by another process, while the files in"):
        use()


def test_a_set_that_stays(tmp_path):
    write(tmp_path, OLD)
    with unchanged(tmp_path):
        (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(SqhwError, match=r"^the RTL differs$"), unchanged(tmp_path):
        raise SqhwError("the RTL differs")
