"""Readers of memory images: strict parsers written from the vendors' grammars, and other programs.

None of them uses anything of sqhw.
"""

import json
import re
import subprocess

import numpy as np


def coe(text):
    """Return the words of a ``.coe`` (UG896): keywords of any case, after ``;`` a comment."""
    lines = [line for line in text.splitlines() if not line.startswith(";")]
    fields = re.fullmatch(
        r"\s*memory_initialization_radix\s*=\s*(2|10|16)\s*;\s*"
        r"memory_initialization_vector\s*=\s*([0-9a-fA-F]+(?:[\s,]+[0-9a-fA-F]+)*)\s*;\s*",
        "\n".join(lines),
        re.IGNORECASE,
    )
    assert fields, "no .coe"
    assert not re.search(r",\s*,", fields[2])
    return [int(word, int(fields[1])) for word in re.split(r"[\s,]+", fields[2])]


def updatemem(text, size):
    """Return {byte address: word} of a ``.mem`` (UG1580), for words of `size` bytes."""
    found, address, seen = {}, None, 0
    for token in text.split():
        if token.startswith("@"):
            assert re.fullmatch(r"@[0-9a-fA-F]{1,8}", token)
            assert address is None or seen, "an address without data"
            address, seen = int(token[1:], 16), 0
        else:
            assert address is not None, "data without an address"
            assert re.fullmatch(r"[0-9a-fA-F]+", token)
            assert (len(token) + 1) // 2 == size
            assert address not in found
            found[address] = int(token, 16)
            address, seen = address + size, seen + 1
    assert seen
    return found


def lattice(text):
    """Return (depth, width, words) of a Lattice ``.mem`` (srec_mem(5)); unnamed words are 0."""
    head = re.match(
        r"#Format=(Bin|Hex|AddrHex)\n#Depth=(\d+)\n#Width=(\d+)\n#AddrRadix=([0-3])\n"
        r"#DataRadix=([0-3])\n#Data\n",
        text,
    )
    assert head, "no header"
    depth, width = int(head[2]), int(head[3])
    assert 1 <= depth <= 65536
    assert 1 <= width <= 256
    base = {"Bin": 2, "Hex": 16}[head[1]]
    words = [int(line, base) for line in text[head.end() :].splitlines()]
    assert len(words) <= depth
    assert all(0 <= word < 1 << width for word in words)
    return depth, width, words + [0] * (depth - len(words))


def gowin(text):
    """Return (depth, width, words) of a Gowin ``.mi``: no comments, a word a line."""
    head = re.match(r"#File_format=(Bin|Hex)\n#Address_depth=(\d+)\n#Data_width=(\d+)\n", text)
    assert head, "no header"
    base = {"Bin": 2, "Hex": 16}[head[1]]
    lines = text[head.end() :].splitlines()
    assert all(re.fullmatch(r"[0-9A-F]+", line) for line in lines)
    return int(head[2]), int(head[3]), [int(line, base) for line in lines]


def from_bytes(data, size, order):
    """Return words of whole bytes."""
    rows = np.frombuffer(bytes(data), np.uint8).reshape(-1, size)
    rows = rows if order == "little" else rows[:, ::-1]
    bits = np.unpackbits(rows, axis=1, bitorder="little")
    return [sum(1 << int(bit) for bit in np.flatnonzero(row)) for row in bits]


def icarus(folder, memories, task):
    """Return the words that Icarus Verilog reads into memories of given (file, width, depth)."""
    lines = ["module t;", "integer i;"]
    for index, (_, width, depth) in enumerate(memories):
        lines.append(f"reg [{width - 1}:0] m{index} [0:{depth - 1}];")
    lines.append("initial begin")
    for index, (file, _, depth) in enumerate(memories):
        lines.append(f'${task}("{file}", m{index});')
        lines.append(f'for (i = 0; i < {depth}; i = i + 1) $display("{index} %h", m{index}[i]);')
    lines += ["end", "endmodule"]
    (folder / "t.v").write_text("\n".join(lines))
    subprocess.run(["iverilog", "-o", "t.vvp", "t.v"], cwd=folder, check=True)
    run = subprocess.run(["vvp", "t.vvp"], cwd=folder, check=True, capture_output=True, text=True)
    assert run.stderr == ""
    found = [[] for _ in memories]
    for line in run.stdout.splitlines():
        index, _, digits = line.partition(" ")
        assert index.isdigit(), line  # a warning of $readmemh
        found[int(index)].append(int(digits, 16))
    return found


#: Script that prints the memories of a design as yosys has them after reading the Verilog.
YOSYS = """
import json, sys
from pyosys import libyosys as ys
design = ys.Design()
ys.run_pass("tee -q -o yosys.log read_verilog t.v", design)
ys.run_pass("tee -q -o yosys.log prep -top t", design)
ys.run_pass("tee -q -o yosys.log memory_collect", design)
ys.run_pass("tee -q -o yosys.log write_json t.json", design)
"""


def yosys(folder, memories, task, python):
    """Return the words that yosys reads, as `icarus` does."""
    lines = ["module t(input [31:0] a);"]
    for index, (file, width, depth) in enumerate(memories):
        lines.append(f"reg [{width - 1}:0] m{index} [0:{depth - 1}];")
        lines.append(f'initial ${task}("{file}", m{index});')
        lines.append(f"(* keep *) wire [{width - 1}:0] d{index} = m{index}[a];")
    (folder / "t.v").write_text("\n".join([*lines, "endmodule"]))
    subprocess.run([python, "-c", YOSYS], cwd=folder, check=True, capture_output=True)
    cells = json.loads((folder / "t.json").read_text())["modules"]["t"]["cells"].values()
    found = [[] for _ in memories]
    for cell in cells:
        if cell["type"] == "$mem_v2":
            values = cell["parameters"]
            index = int(values["MEMID"].removeprefix("\\\\").removeprefix("\\").removeprefix("m"))
            width = int(values["WIDTH"], 2)
            bits = values["INIT"]
            words = [bits[at : at + width] for at in range(0, len(bits), width)]
            found[index] = [int(word, 2) for word in reversed(words)]
    return found


def compiled(folder, headers):
    """Return the words of C arrays, printed by a program; `headers` has (file, array) of each."""
    lines = ["#include <stdio.h>", "#include <stdlib.h>"]
    lines += [f'#include "{file}"' for file, _ in headers]
    lines += ["int main(void) {", "    unsigned i;"]
    for index, (_, array) in enumerate(headers):
        lines.append(f"    for (i = 0; i < {array.upper()}_DEPTH; i++)")
        lines.append(f'        printf("{index} %llx\\n", (unsigned long long){array}[i]);')
    lines += ["    return EXIT_SUCCESS;", "}"]
    (folder / "t.c").write_text("\n".join([*lines, ""]))
    strict = ["-Wall", "-Wextra", "-Werror", "-pedantic"]
    subprocess.run(["gcc", "-std=c99", *strict, "-o", "t", "t.c"], cwd=folder, check=True)
    (folder / "t.cc").write_text((folder / "t.c").read_text())
    cxx = ["g++", "-std=c++11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "t.cc"]
    subprocess.run(cxx, cwd=folder, check=True)
    run = subprocess.run(["./t"], cwd=folder, check=True, capture_output=True, text=True)
    found = [[] for _ in headers]
    for line in run.stdout.splitlines():
        index, _, digits = line.partition(" ")
        found[int(index)].append(int(digits, 16))
    return found
