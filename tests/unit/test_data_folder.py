"""Pictures in class folders: how they are read, divided, cached and refused."""

import io
import os
import zlib

import numpy as np
import pytest
from PIL import Image

from sqhw.data import ImageForm, load_dataset, picture, picture_cache
from sqhw.data.form import MAX_SIDE, parse_size, parse_values
from sqhw.data.picture import decoded, pixels_of
from sqhw.errors import SqhwError
from sqhw.steps.options import TrainOptions
from sqhw.steps.train import train

LAYOUTS = "CLASS/*.png, or train/CLASS/*.png and the same in val and test"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Return the cache of the user, a folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "sqhw" / "data"


def save(path, value, size=(4, 5), mode="L", **options):
    """Write a picture of one value; the size is height and width."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size[::-1], value).save(path, **options)


@pytest.fixture
def pets(tmp_path):
    """Return a folder of 10 cats (pixels 1 to 10) and 15 dogs (101 to 115)."""
    for name, first, count in (("cat", 1, 10), ("dog", 101, 15)):
        for value in range(first, first + count):
            save(tmp_path / "pets" / name / f"{value:03}.png", value)
    return tmp_path / "pets"


def load(folder, **form):
    return load_dataset(f"folder:{folder}", ImageForm(**form))


def message(folder, **form):
    with pytest.raises(SqhwError) as error:
        load(folder, **form)
    return str(error.value)


def values(split):
    return split.images[:, 0, 0, 0].tolist()


def all_values(data):
    return [*values(data.train), *values(data.validation), *values(data.test)]


def test_classes_are_sorted_and_parts_split_off(pets):
    data = load(pets)
    assert (data.name, data.input_max, data.classes) == ("folder pets", 255, 2)
    assert data.class_names == ("cat", "dog")
    assert data.image_shape == (1, 4, 5)
    assert [len(data.train), len(data.validation), len(data.test)] == [15, 5, 5]
    for split in (data.train, data.validation, data.test):
        assert (split.labels == (split.images[:, 0, 3, 4] > 100)).all()
    assert np.bincount(data.test.labels).tolist() == [2, 3]
    assert sorted(all_values(data)) == [*range(1, 11), *range(101, 116)]
    assert 0 < data.train.labels[:8].sum() < 8  # not one class after the other


def test_the_same_folder_gives_the_same_parts(pets, cache):
    first = load(pets)
    for path in cache.iterdir():
        path.unlink()
    second = load(f"{pets}/../pets")
    for name in ("train", "validation", "test"):
        assert values(getattr(first, name)) == values(getattr(second, name))


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_parts_that_are_given(tmp_path, name):
    for part, value in (("train", 10), (name, 20), ("test", 30)):
        for label in ("a", "b"):
            save(tmp_path / "set" / part / label / "x.png", value)
    data = load(tmp_path / "set")
    assert [len(data.train), len(data.validation), len(data.test)] == [2, 2, 2]
    assert [values(s)[0] for s in (data.train, data.validation, data.test)] == [10, 20, 30]


def test_a_missing_part_is_split_off_the_training_pictures(tmp_path):
    for label in ("a", "b"):
        for index in range(10):
            save(tmp_path / "set" / "train" / label / f"{index}.png", 10)
        save(tmp_path / "set" / "val" / label / "x.png", 20)
    data = load(tmp_path / "set")
    assert [len(data.train), len(data.validation), len(data.test)] == [16, 2, 4]
    assert set(values(data.validation)) == {20}


def test_a_class_may_be_called_train(tmp_path):
    for label in ("car", "train"):
        for index in range(5):
            save(tmp_path / "set" / label / f"{index}.png", 10)
    assert load(tmp_path / "set").class_names == ("car", "train")


@pytest.mark.parametrize("suffix", ["png", "JPG", "jpeg", "bmp", "ppm", "webp"])
def test_formats_and_colours(tmp_path, suffix):
    for label, colour in (("blue", (0, 0, 200)), ("red", (200, 0, 0))):
        for index in range(5):
            save(tmp_path / "set" / label / f"{index}.{suffix}", colour, (16, 16), "RGB")
    data = load(tmp_path / "set")
    assert data.image_shape == (3, 16, 16)
    red = data.train.images[data.train.labels == 1][0, :, 8, 8].astype(int)
    assert np.abs(red - (200, 0, 0)).max() <= 3
    grey = load(tmp_path / "set", shape=(1, 8, 4))
    assert grey.image_shape == (1, 8, 4)
    levels = [grey.train.images[grey.train.labels == label][0, 0, 4, 2] for label in (0, 1)]
    assert np.abs(np.array(levels, int) - (23, 60)).max() <= 3  # 0.114 and 0.299 of 200


def test_shrinking_takes_means_and_the_picture_stands_upright():
    pixels = np.zeros((4, 8), np.uint8)
    pixels[:, 4:] = 200
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to the right
    Image.fromarray(pixels).save(file, "PNG", exif=exif)
    upright = decoded(file.getvalue())
    assert (upright.height, upright.width) == (8, 4)
    small = pixels_of(upright, 3, (2, 1))
    assert small.shape == (3, 2, 1)
    assert small[:, 0, 0].max() < 40
    assert small[:, 1, 0].min() > 160


def test_palettes_and_opaque_alpha_are_colours(tmp_path):
    file = io.BytesIO()
    Image.new("RGBA", (2, 2), (10, 20, 30, 255)).save(file, "PNG")
    assert decoded(file.getvalue()).getpixel((0, 0)) == (10, 20, 30)
    file = io.BytesIO()
    Image.new("RGB", (2, 2), (10, 20, 30)).quantize(4).save(file, "PNG")
    assert decoded(file.getvalue()).getpixel((0, 0)) == (10, 20, 30)


def test_sizes_that_differ_are_resized_when_told(pets):
    save(pets / "cat" / "large.png", 7, (9, 9))
    assert message(pets, shape=(1, 8, 8)) == (
        f"{pets}/cat/large.png has 9x9 pixels and {pets}/cat/001.png has 4x5; resize them all with "
        "--image-size 8x8, which keeps no aspect ratio, or cut them to one size"
    )
    data = load(pets, shape=(1, 8, 8), size=(8, 8))
    assert data.image_shape == (1, 8, 8)
    assert message(pets, shape=(1, 8, 8), size=(9, 9)) == (
        "the image size 9x9 is not that of the network, which takes 8x8"
    )


def test_second_start_decodes_nothing(pets, cache, monkeypatch):
    calls = []
    monkeypatch.setattr(
        "sqhw.data.image_folder.decoded", lambda data: calls.append(1) or picture.decoded(data)
    )
    before = sorted(pets.rglob("*"))
    first, seen = load(pets), len(calls)
    assert seen == 25
    (cached,) = cache.iterdir()
    assert cached.stat().st_mode & 0o777 == 0o600
    second = load(pets)
    assert len(calls) == seen
    np.testing.assert_array_equal(first.train.images, second.train.images)
    save(pets / "cat" / "001.png", 99)  # of the same size
    assert 99 in all_values(load(pets))
    assert len(calls) == 2 * seen
    assert [path.name for path in cache.iterdir()] == [cached.name]
    load(pets, shape=(3, 4, 5))
    assert len(list(cache.iterdir())) == 2
    assert sorted(pets.rglob("*")) == before


def test_a_damaged_cache_is_made_anew(pets, cache):
    first = load(pets)
    (cached,) = cache.iterdir()
    good = cached.read_bytes()
    for bad in (b"", good[:-1], good[:-1] + bytes([good[-1] ^ 1]), b"x" * len(good)):
        cached.write_bytes(bad)
        np.testing.assert_array_equal(load(pets).train.images, first.train.images)
        assert cached.read_bytes() == good


def test_without_a_folder_for_the_cache(pets, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(load(pets).train) == 15

    def no_home():
        raise RuntimeError

    monkeypatch.setattr(picture_cache, "cache_home", no_home)
    assert len(load(pets).train) == 15


def test_progress(pets):
    calls = []
    load_dataset(f"folder:{pets}", ImageForm(), lambda *state: calls.append(state))
    assert (calls[0], calls[-1]) == ((0, 25), (25, 25))


def test_no_folder(tmp_path):
    assert message(tmp_path / "no") == (
        f"data set directory {tmp_path}/no does not exist; it must hold {LAYOUTS}"
    )


def test_one_class_or_none(pets):
    for path in (pets / "dog").iterdir():
        path.unlink()
    (pets / "dog").rmdir()
    assert message(pets) == (
        f"data set directory {pets} has one class, 'cat'; it must hold two classes or more as "
        f"{LAYOUTS}"
    )
    assert message(pets / "cat").startswith(f"{pets}/cat/001.png lies in no class folder; ")
    (pets.parent / "empty").mkdir()
    assert " has no class folders; " in message(pets.parent / "empty")


def test_empty_class_folder(pets):
    (pets / "bird").mkdir()
    (pets / "bird" / ".hidden.png").write_bytes(b"")
    assert message(pets) == (
        f"class folder {pets}/bird has no pictures; add some or remove the folder"
    )


def test_too_few_pictures_for_the_split(pets):
    for value in range(5, 11):
        (pets / "cat" / f"{value:03}.png").unlink()
    assert message(pets) == (
        f"{pets} has 4 training images of class 'cat'; at least 5 of each class are needed to "
        "split off test and validation images"
    )


def test_parts_of_different_classes(tmp_path):
    folder = tmp_path / "set"
    for label in ("a", "b"):
        save(folder / "train" / label / "x.png", 1)
    save(folder / "test" / "a" / "x.png", 1)
    same = "; both must have the same classes"
    assert message(folder) == f"{folder}/test lacks class 'b' of {folder}/train{same}"
    save(folder / "test" / "b" / "x.png", 1)
    save(folder / "test" / "c" / "x.png", 1)
    assert message(folder) == f"{folder}/test has class 'c', which {folder}/train lacks{same}"
    for name in ("val", "validation"):
        (folder / name).mkdir()
    assert message(folder) == (
        f"{folder} has val and validation, which are two names of one part; keep one of the folders"
    )


def test_what_is_no_picture_by_its_name(pets):
    (pets / "README.txt").write_text("not looked at")
    (pets / "dog" / "Thumbs.db").write_text("neither")
    load(pets)
    (pets / "dog" / "labels.csv").write_text("")
    assert message(pets) == (
        f"{pets}/dog/labels.csv is no picture by its name, which must end in one of .png, .jpg, "
        ".jpeg, .bmp, .pgm, .ppm, .webp; convert or remove it"
    )


def test_folders_in_class_folders_and_links_in_circles(pets):
    (pets / "dog" / "all").symlink_to(pets)
    assert message(pets) == (
        f"class folder {pets}/dog has a folder 'all'; {pets} must hold its pictures as {LAYOUTS}"
    )
    (pets / "dog" / "all").unlink()
    (pets / "dog" / "x.png").symlink_to("x.png")
    found = message(pets)
    assert found.startswith(f"{pets}/dog/x.png: cannot be read (")
    assert "symbolic links" in found
    (pets / "dog" / "x.png").unlink()
    (pets / "loop").symlink_to("loop")
    assert message(pets).startswith(f"{pets}/loop: cannot be read (")


def test_files_that_cannot_be_read(pets):
    path = pets / "cat" / "x.png"
    path.symlink_to("nowhere")
    assert message(pets) == f"{path}: no such file"
    path.unlink()
    os.mkfifo(path)
    assert message(pets) == f"{path}: not a regular file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(pets):
    (pets / "cat" / "001.png").chmod(0)
    assert message(pets) == f"{pets}/cat/001.png: cannot be read (Permission denied)"


def png(image, **options):
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


GOOD = png(Image.new("L", (40, 40), 9))
SPLIT = GOOD.index(b"IDAT")


def with_size(data, width, height):
    """Return a PNG file whose header says another size, with the right checksum."""
    head = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + data[24:29]
    return data[:12] + head + zlib.crc32(head).to_bytes(4, "big") + data[33:]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", " is damaged, or no picture; formats are PNG, JPEG, BMP, PPM, WEBP"),
        (b"GIF89a", " is damaged, or no picture; formats are PNG, JPEG, BMP, PPM, WEBP"),
        (GOOD[: SPLIT + 20], " is a damaged picture ("),
        (GOOD[: SPLIT + 8] + b"zzzz" + GOOD[SPLIT + 12 :], " is a damaged picture ("),
        (GOOD[:40], " is damaged, or no picture; "),
        (b"P5\n#" + b" " * 5000 + b"\n1 1\n255\n1", " is damaged, or no picture; a PBM, PGM or"),
        (b"P5\n1 1\n255#" + b" " * 5000 + b"\n\n1", " is damaged, or no picture; a PBM, PGM or"),
        (b"P2\n1 1\n255\n" + b"#\n" * 9 + b"1", " has comments among its pixels; write it"),
        (with_size(GOOD, 30_000, 30_000), " has "),
        (with_size(GOOD, 9_000, 9_000), " has 9000 x 9000 pixels, at most 67,108,864 are decoded"),
        (png(Image.new("I;16", (4, 4), 900)), " has pixels of kind 'I;16'; write it with 8 bits"),
        (png(Image.new("RGBA", (4, 4), (1, 2, 3, 4))), " has transparent pixels, whose colour is"),
        (png(Image.new("1", (4, 4), 1), transparency=1), " has transparent pixels, whose colour"),
        (
            png(
                Image.new("L", (4, 4), 1),
                save_all=True,
                append_images=[Image.new("L", (4, 4), 2)],
            ),
            " is animated; write one of its pictures",
        ),
    ],
)
def test_broken_pictures_are_named(pets, data, said):
    path = pets / "dog" / "zzz.png"
    path.write_bytes(data)
    assert message(pets).startswith(f"{path}{said}")


def test_comments_of_netpbm_files(pets):
    for name, data in {
        "a.pgm": b"P5\n# made\n# by hand\n2 2\n#\n255\n####",
        "b.pgm": b"P2 # text\n2 2\n255\n1 2\n3 4\n",
        "c.pbm.pgm": b"P4\n8 2\n##",
    }.items():
        (pets / "dog" / name).write_bytes(data)
    load_dataset(f"folder:{pets}", ImageForm(shape=(1, 8, 8), size=(8, 8)))


def test_every_cut_of_a_picture_is_refused_in_one_sentence(pets):
    path = pets / "dog" / "zzz.png"
    for image_format in ("PNG", "JPEG", "BMP", "PPM", "WEBP"):
        file = io.BytesIO()
        noise = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
        Image.fromarray(noise).save(file, image_format)
        data = file.getvalue()
        for length in range(0, len(data) - len(data) // 4, 23):
            path.write_bytes(data[:length])
            found = message(pets)
            assert found.startswith(f"{path} "), (image_format, length, found)
            assert "\n" not in found


def test_pictures_of_too_many_bytes_together(pets, monkeypatch):
    monkeypatch.setattr("sqhw.data.image_folder.MAX_DATA_BYTES", 25 * 64 - 1)
    assert message(pets, shape=(1, 8, 8)) == (
        "25 pictures of shape (1, 8, 8) are 1,600 bytes, at most 1,599 are read; take fewer "
        "pictures or a smaller size"
    )
    monkeypatch.setattr("sqhw.data.class_folders.MAX_PICTURES", 24)
    assert message(pets) == f"{pets} holds 25 pictures, at most 24 are read"


def test_channels_and_ranges_that_pictures_do_not_have(pets):
    assert message(pets, shape=(2, 8, 8)).startswith(
        f"pictures in {pets} give 1 channel or 3, and images of shape (2, 8, 8) are wanted; "
    )
    assert message(pets, input_max=16).startswith(
        f"pictures in {pets} have pixels of 0 to 255, and 0 to 16 are wanted; "
    )


@pytest.mark.parametrize(
    "text", ["", "8", "8x", "0x8", "8x8x8", "-1x8", "8X8", f"8x{MAX_SIDE + 1}"]
)
def test_sizes_that_are_none(text):
    with pytest.raises(SqhwError, match=r"^image size '.*' must read HxW, "):
        parse_size(text)


@pytest.mark.parametrize("text", ["", "a", "1,", "nan", "1e999", "1,,2", "1" * 2000])
def test_values_that_are_none(text):
    with pytest.raises(SqhwError, match=r" must be a number, or one for each channel with commas"):
        parse_values(text)


def test_size_and_values():
    assert parse_size("32x48") == (32, 48)
    assert parse_values("0.5") == (0.5,)
    assert parse_values("-1,0.25,1e-3") == (-1.0, 0.25, 0.001)


def test_options_for_other_data(pets, tmp_path):
    with pytest.raises(SqhwError, match=r"^--image-size is for the pictures of folder:DIR; images"):
        load_dataset("digits", ImageForm(size=(8, 8)))
    with pytest.raises(
        SqhwError, match=r"^no network is known to suit data of one's own \(folder:"
    ):
        train(TrainOptions(data=f"folder:{pets}", out=tmp_path / "x"))
    options = {"data": f"folder:{pets}", "network": "digits-cnn", "out": tmp_path / "x"}
    with pytest.raises(SqhwError, match=r"^--input-max is for arrays \(npz:FILE\); data of kind "):
        train(TrainOptions(**options, input_max=9))
    with pytest.raises(SqhwError, match=r"^network 'digits-cnn': mean must have 1 value, not"):
        train(TrainOptions(**options, mean="1,2,3"))
    with pytest.raises(SqhwError, match=r"^network 'digits-cnn': std must be positive"):
        train(TrainOptions(**options, std="0"))
