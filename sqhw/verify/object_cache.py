"""Object files of Verilator's runtime, kept from build to build.

The runtime is the same in every design, and takes as long to compile as a small engine.
"""

import os
import shlex
from pathlib import Path

from sqhw.atomic import atomic_write_text

VARIABLE = "XDG_CACHE_HOME"
#: Command before the compiler's in Verilator's makefiles (their variable ``OBJCACHE``). Objects
#: depend on the compiler, its arguments and the runtime's version, and are stored whole.
SCRIPT = """\
#!/bin/sh
root={root}
cache={cache}
source= object= next=
for argument; do
  [ "$next" = -o ] && object=$argument
  next=$argument
  case $argument in "$root"/include/*.cpp) source=$argument;; esac
done
[ -n "$source" ] && [ -n "$object" ] && mkdir -p -m 700 "$cache" 2>/dev/null && [ -w "$cache" ] &&
  key=$({{ "$1" --version; printf '%s\\n' {version} "$@"; }} 2>/dev/null | sha256sum) || exec "$@"
kept=$cache/${{key%% *}}.o
cp "$kept" "$object" 2>/dev/null && exit 0
"$@" || exit
cp "$object" "$kept.$$" 2>/dev/null && mv "$kept.$$" "$kept" || rm -f "$kept.$$"
exit 0
"""


def write_object_cache(folder: Path, root: Path, version: str) -> Path | None:
    """Write the command that keeps objects of the runtime, and return its path.

    Parameters
    ----------
    folder : path
        Folder for the command.
    root : path
        Folder of Verilator's package, with the runtime's sources in its sub-folder ``include``.
    version : str
        Version of Verilator.

    Returns
    -------
    path or None
        Path of the command; None without a home folder, so that all is compiled anew.
    """
    given = Path(os.environ.get(VARIABLE, ""))
    try:
        cache = (given if given.is_absolute() else Path.home() / ".cache") / "sqhw" / "verilator"
    except RuntimeError:  # no home
        return None
    quoted = {"root": root, "cache": cache, "version": version}
    text = SCRIPT.format(**{name: shlex.quote(str(value)) for name, value in quoted.items()})
    command = folder / "objcache"
    atomic_write_text(command, text, mode=0o777)
    return command
