"""Verilog without what changes no circuit: comments, blanks, and names of signals inside."""

import re
from collections.abc import Iterator

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*|(\"(?:[^\"\\\n]|\\.)*\")", re.DOTALL)
#: Text that only simulators read.
_SIMULATION = re.compile(r"`ifdef __ICARUS__.*?`endif", re.DOTALL)
_MODULE = re.compile(r"\bmodule\b.*?\bendmodule\b", re.DOTALL)
#: Tokens. Escaped names end with a blank. The digits of numbers like 4'hb are no names.
_TOKEN = re.compile(r"\\\S+|\d*'s?[bodh][0-9a-fxz_?]+|[A-Za-z_$][\w$]*|\d+|\"[^\"]*\"|\S")
_KINDS = ("input", "output", "inout", "wire", "reg")


def without_comments(verilog: str) -> str:
    """Return Verilog without comments, and with one blank where it has any.

    Lint waivers are comments.

    Parameters
    ----------
    verilog : str
    """
    return " ".join(_COMMENT.sub(lambda found: found.group(1) or " ", verilog).split())


def without_names(verilog: str, top: str) -> str:
    """Return modules that yosys wrote, comments gone and signals numbered as they occur.

    Names of modules and instances stay, and of the ports of `top` and of modules that are not here.
    Two texts with the same result are the same circuit; the other way round not always.

    Parameters
    ----------
    verilog : str
        As yosys has it, where every signal is declared in a statement of its own.
    top : str
        Its ports have the names that a design gives them.
    """
    text = _SIMULATION.sub(" ", _COMMENT.sub(lambda found: found.group(1) or " ", verilog))
    modules = _Modules(_MODULE.findall(text), top)
    return "\n".join(modules.plain(name) for name in sorted(modules.statements))


class _Modules:
    """The modules of a text; one is numbered after those that it has instances of."""

    def __init__(self, texts: list[str], top: str) -> None:
        self.top = top
        self.statements: dict[str, list[list[str]]] = {}
        for text in texts:
            _, name, *tokens = _TOKEN.findall(text)
            # The list of ports says no more than their declarations.
            self.statements[name] = list(_statements(tokens[tokens.index(";") + 1 :]))
        self._done: dict[str, tuple[str, dict[str, str]]] = {}

    def plain(self, name: str) -> str:
        """Return a module: what is done, then what each signal is."""
        return self._of(name)[0]

    def _of(self, name: str) -> tuple[str, dict[str, str]]:
        if name not in self._done:
            self._done[name] = self._numbered(name)
        return self._done[name]

    def _numbered(self, name: str) -> tuple[str, dict[str, str]]:
        """Return a module, and the numbers of its ports."""
        about: dict[str, list[str]] = {}
        body = []
        for statement in self.statements[name]:
            if not _declares(statement, about):
                body.append(self._connected(statement))
        fixed = {port for port in about if _is_port(about[port])} if name == self.top else set()
        numbers = {port: port for port in sorted(fixed)}
        for token, before in (pair for statement in body for pair in _pairs(statement)):
            if token in about and before != ".":
                numbers.setdefault(token, f"%{len(numbers)}")
        lines = [f"module {name}"]
        for statement in body:
            pairs = _pairs(statement)
            words = [t if before == "." else numbers.get(t, t) for t, before in pairs]
            lines.append(" ".join(words))
        lines += [f"{new}: {sorted(about[old])}" for old, new in numbers.items()]
        ports = {port: numbers.get(port, "unused") for port in about if _is_port(about[port])}
        return "\n".join(lines), ports

    def _connected(self, statement: list[str]) -> list[str]:
        """Return an instance of a module that is here with its ports numbered, in their order."""
        kind, *rest = statement
        if kind not in self.statements:
            return statement
        ports, parts = self._of(kind)[1], _connections(rest[1:])
        numbered = sorted((ports[port], wire) for port, wire in parts)
        return [kind, rest[0], *(t for port, wire in numbered for t in (".", port, *wire)), ";"]


def _declares(statement: list[str], about: dict[str, list[str]]) -> bool:
    """Add what a declaration says of a signal, and return whether it is one."""
    notes = []
    while statement[:2] == ["(", "*"]:  # an attribute
        end = statement.index(")", statement.index("*", 2)) + 1
        notes, statement = [*notes, " ".join(statement[2 : end - 2])], statement[end:]
    kind, *rest = statement or [""]
    if kind in _KINDS:
        # `reg [7:0] name = 8'h00;` and `reg [7:0] name; initial name = 8'h00;` are the same.
        declared, _, value = " ".join(rest[:-1]).partition(" = ")
        width, _, name = declared.rpartition(" ")
        about.setdefault(name, []).extend([*notes, f"{kind} {width}".strip()])
        about[name] += [f"init = {value}"] * bool(value)
        return True
    if kind == "initial" and len(statement) == 5 and statement[2] == "=":
        about.setdefault(statement[1], []).append(f"init = {statement[3]}")
        return True
    return False


def _is_port(notes: list[str]) -> bool:
    return any(note.startswith(("input", "output", "inout")) for note in notes)


def _connections(tokens: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the ports of an instance and the tokens in their brackets."""
    start = 1
    while tokens[start] == ".":
        depth, end = 1, start + 3
        while depth:
            depth += {"(": 1, ")": -1}.get(tokens[end], 0)
            end += 1
        yield tokens[start + 1], tokens[start + 2 : end]
        start = end + (tokens[end] == ",")


def _pairs(statement: list[str]) -> list[tuple[str, str]]:
    """Return each token with the one before it."""
    return list(zip(statement, ["", *statement], strict=False))


def _statements(tokens: list[str]) -> Iterator[list[str]]:
    """Yield the tokens up to each semicolon, and words that have none as a part of the next."""
    statement: list[str] = []
    for token in tokens:
        statement.append(token)
        if token == ";":
            yield statement
            statement = []
    yield statement
