"""Memory images are read back word for word by readers that share no code with sqhw."""

import io
import random
import shutil
import sys
from dataclasses import replace

import bincopy
import image_readers as readers
import intelhex
import mif
import numpy as np
import pytest

from sqhw.errors import SqhwError
from sqhw.export.images.image_format import encoded
from sqhw.export.images.memory import Memory
from sqhw.export.images.registry import image_formats
from sqhw.names import ROM_FORMATS

EDGES = (1, 2, 7, 8, 9, 16, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256)


def memory(name, width, depth, seed=0):
    source = random.Random(f"{name} {width} {depth} {seed}")
    words = [source.getrandbits(width) for _ in range(depth)]
    words[0], words[-1] = (1 << width) - 1, 1  # the highest bit, and a word that is odd
    return Memory(name, width, tuple(words), depth)


def memories(limit):
    """Return memories of the widths at the edges, and of random ones, of random depths."""
    source = random.Random(19)
    widths = [*EDGES, *(source.randint(1, 256) for _ in range(24))]
    fitting = [width for width in widths if width <= limit]
    return [
        memory(f"m{index}", width, source.randint(1, 70)) for index, width in enumerate(fitting)
    ]


class FormatTests:
    """The tests that every format passes; `read` of a format returns the words of a file."""

    form = ""
    order = "little"

    @property
    def format(self):
        return image_formats(self.order)[self.form]

    def write(self, folder, one):
        path = folder / f"{one.name}{self.format.suffix}"
        path.write_bytes(encoded(self.format, one))
        return path

    def read_all(self, folder, found):
        return [self.read(self.write(folder, one), one) for one in found]

    def test_words_come_back(self, tmp_path):
        limit = self.format.max_width or 256
        found = memories(limit)
        assert len(found) >= 10
        for one, words in zip(found, self.read_all(tmp_path, found), strict=True):
            assert words == list(one.words), (one.width, one.depth)

    def test_a_deep_memory_comes_back(self, tmp_path):
        one = memory("deep", 9, 5000)
        assert self.read_all(tmp_path, [one]) == [list(one.words)]

    def test_one_word_changed_is_one_difference(self, tmp_path):
        one = memory("m", 12, 33)
        other = replace(one, words=(*one.words[:20], one.words[20] ^ 0x800, *one.words[21:]))
        before, after = (self.read_all(tmp_path, [both])[0] for both in (one, other))
        assert [at for at in range(33) if before[at] != after[at]] == [20]

    def test_the_same_memory_gives_the_same_bytes(self):
        one = memory("m", 17, 40)
        assert encoded(self.format, one) == encoded(self.format, one)

    def test_limits_are_named(self):
        form = self.format
        if form.max_width is not None:
            with pytest.raises(SqhwError, match=rf"^{form.name} holds words of at most \d+ bits"):
                encoded(form, memory("m", form.max_width + 1, 2))
            encoded(form, memory("m", form.max_width, 2))
        if form.max_depth is not None:
            with pytest.raises(SqhwError, match=rf"^{form.name} holds at most \d+ words"):
                encoded(form, Memory("m", 1, (0,) * (form.max_depth + 1), 1))
            encoded(form, Memory("m", 1, (0,) * form.max_depth, 1))

    def test_it_is_named_as_the_option_takes_it(self):
        assert self.form in ROM_FORMATS


class Readmem(FormatTests):
    task = ""

    def _files(self, folder, found):
        return [(self.write(folder, one).name, one.width, one.depth) for one in found]

    def read_all(self, folder, found):
        if not shutil.which("iverilog"):
            pytest.skip("Icarus Verilog is not installed")
        return readers.icarus(folder, self._files(folder, found), self.task)

    def test_yosys_reads_the_same(self, tmp_path):
        found = memories(256)[::4]
        words = readers.yosys(tmp_path, self._files(tmp_path, found), self.task, sys.executable)
        assert words == [list(one.words) for one in found]


class TestHex(Readmem):
    form, task = "hex", "readmemh"


class TestBmem(Readmem):
    form, task = "bmem", "readmemb"


class TestCoe(FormatTests):
    form = "coe"

    def read(self, path, one):
        return readers.coe(path.read_text())


class TestUpdatemem(FormatTests):
    form = "updatemem"

    def read(self, path, one):
        size = -(-one.width // 8)
        found = readers.updatemem(path.read_text(), size)
        assert list(found) == list(range(0, size * one.depth, size))
        return list(found.values())


class TestMif(FormatTests):
    form = "mif"

    def read(self, path, one):
        with path.open() as file:
            bits = mif.load(file)
        assert bits.shape == (one.depth, one.width)
        return [sum(1 << int(bit) for bit in np.flatnonzero(row)) for row in bits]


class TestQuartusHex(FormatTests):
    form = "quartus-hex"

    def read(self, path, one):
        size = -(-one.width // 8)
        text = path.read_text()
        assert "\r" not in text
        file = bincopy.BinFile(word_size_bits=8 * size)
        file.add_ihex(text)
        assert file.minimum_address == 0
        return readers.from_bytes(file.as_binary(), size, "big")


class TestIhex(FormatTests):
    form = "ihex"

    def read(self, path, one):
        size = -(-one.width // 8)
        file = bincopy.BinFile()
        file.add_ihex(path.read_text())
        second = intelhex.IntelHex(io.StringIO(path.read_text()))
        assert second.tobinstr() == bytes(file.as_binary())
        assert (second.minaddr(), second.maxaddr()) == (0, size * one.depth - 1)
        return readers.from_bytes(file.as_binary(), size, self.order)

    def test_addresses_beyond_16_bits(self, tmp_path):
        one = memory("far", 32, 20_000)
        assert self.read_all(tmp_path, [one]) == [list(one.words)]


class TestIhexBigEndian(TestIhex):
    order = "big"


class TestSrec(FormatTests):
    form = "srec"

    def read(self, path, one):
        file = bincopy.BinFile()
        file.add_srec(path.read_text())
        assert file.header == one.name
        assert file.minimum_address == 0
        return readers.from_bytes(file.as_binary(), -(-one.width // 8), self.order)

    @pytest.mark.parametrize(("depth", "kind"), [(65536, "19"), (65537, "28")])
    def test_addresses_have_as_many_bytes_as_the_last_one_needs(self, tmp_path, depth, kind):
        path = self.write(tmp_path, one := memory("m", 8, depth))
        assert {line[:2] for line in path.read_text().splitlines()[1:]} == {f"S{k}" for k in kind}
        assert self.read(path, one) == list(one.words)


class TestSrecBigEndian(TestSrec):
    order = "big"


class TestLatticeMem(FormatTests):
    form = "lattice-mem"

    def read(self, path, one):
        depth, width, words = readers.lattice(path.read_text())
        assert (depth, width) == (one.depth, one.width)
        return words


class TestGowinMi(FormatTests):
    form = "gowin-mi"

    def read(self, path, one):
        depth, width, words = readers.gowin(path.read_text())
        assert (depth, width) == (one.depth, one.width)
        return words


class TestBin(FormatTests):
    form = "bin"

    def read(self, path, one):
        return readers.from_bytes(path.read_bytes(), -(-one.width // 8), self.order)


class TestBinBigEndian(TestBin):
    order = "big"


class TestC(FormatTests):
    form = "c"

    def read_all(self, folder, found):
        if not (shutil.which("gcc") and shutil.which("g++")):
            pytest.skip("GCC is not installed")
        return readers.compiled(folder, [(self.write(folder, one).name, one.name) for one in found])


class TestNpy(FormatTests):
    form = "npy"

    def read(self, path, one):
        array = np.load(path, allow_pickle=False)
        assert array.dtype.kind == "u"
        assert array.dtype.itemsize * 8 < 2 * max(one.width, 8)
        return array.tolist()


def test_every_format_has_its_tests_and_its_suffix():
    formats = image_formats()
    tested = {one.form for name, one in globals().items() if name.startswith("Test") and one.form}
    assert tested == set(formats) == set(ROM_FORMATS)
    suffixes = [form.suffix for form in formats.values()]
    assert len(set(suffixes)) == len(suffixes)
    assert list(formats) == list(ROM_FORMATS)
