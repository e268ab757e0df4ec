"""The reader of ROM images takes what it writes, and nothing that ``$readmemh`` would refuse."""

import shutil
import subprocess

import pytest

from sqhw.compiler.program import RomImage
from sqhw.errors import SqhwError
from sqhw.export.readmemh import read_readmemh, readmemh_text

GOOD = ["002\n3ff\n", "002\n3ff", "002\r\n3ff\r\n", "002\n3FF\n", "002\n3Ff\r\n"]
BAD = [
    "+02\n3ff\n",
    "-02\n3ff\n",
    " 02\n3ff\n",
    "2\n3ff\n",
    "0002\n3ff\n",
    "002 3ff\n",
    "002\n\n3ff\n",
    "002\x0b\n3ff\n",
    "002\x0b3ff\n",
    "002\x0c3ff\n",
    "002\r3ff\n",
    "002\x1c3ff\n",
    "002\u2028" + "3ff\n",
    "0_2\n3ff\n",
    "0x2\n3ff\n",
    "xxx\n3ff\n",
    "zzz\n3ff\n",
    "@00\n3ff\n",
    "// \n3ff\n",
    "\uff10\uff10\uff12\n3ff\n",
    "\u0660\u0660\u0662\n3ff\n",
    "\ufeff002\n3ff\n",
    "002\n400\n",
    "002\n3ff\n\x1a",
    "002\r\r\n3ff\n",
]


def read(tmp_path, text):
    path = tmp_path / "image.hex"
    path.write_bytes(text.encode())
    return read_readmemh(path, "image", 10, 2)


def test_what_is_written_is_read(tmp_path):
    image = RomImage("image", 10, (2, 1023))
    assert readmemh_text(image) == GOOD[0]
    assert all(read(tmp_path, text) == image for text in GOOD)
    assert read(tmp_path, "").words == ()


@pytest.mark.parametrize("text", BAD)
def test_anything_else_is_refused_by_line(tmp_path, text):
    with pytest.raises(SqhwError, match=r"image\.hex, line [123]: '.*' is not a word of 10 bits"):
        read(tmp_path, text)


def test_a_file_of_many_more_words_is_not_read(tmp_path):
    with pytest.raises(SqhwError, match=r"image\.hex: is too large: [0-9,]+ bytes, at most"):
        read(tmp_path, "002\n" * 10_000)
    assert read(tmp_path, "002\n" * 3).depth == 3


@pytest.mark.skipif(not shutil.which("iverilog"), reason="Icarus Verilog is not installed")
def test_icarus_reads_the_same(tmp_path):
    for index, text in enumerate(GOOD):
        (tmp_path / f"{index}.hex").write_bytes(text.encode())
    body = "".join(
        f'    $readmemh("{index}.hex", memory); $display("%h %h", memory[0], memory[1]);\n'
        "    memory[0] = 0; memory[1] = 0;\n"
        for index in range(len(GOOD))
    )
    found = icarus(tmp_path, body)
    assert found.stdout.splitlines() == ["002 3ff"] * len(GOOD)


@pytest.mark.skipif(not shutil.which("iverilog"), reason="Icarus Verilog is not installed")
@pytest.mark.parametrize("text", ["+02\n3ff\n", "-02\n3ff\n", "002\x0b3ff\n"])
def test_icarus_refuses_too(tmp_path, text):
    (tmp_path / "0.hex").write_bytes(text.encode())
    found = icarus(tmp_path, '    $readmemh("0.hex", memory);\n')
    assert "ERROR" in found.stdout + found.stderr or found.returncode


def icarus(folder, body):
    source = f"module t;\n  reg [9:0] memory [0:1];\n  initial begin\n{body}  end\nendmodule\n"
    (folder / "t.v").write_text(source)
    subprocess.run(["iverilog", "-o", "t.vvp", "t.v"], cwd=folder, check=True)
    return subprocess.run(["vvp", "t.vvp"], cwd=folder, capture_output=True, text=True, check=False)
