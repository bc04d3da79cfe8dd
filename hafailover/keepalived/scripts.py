"""Programs: from the text that keepalived runs to an argument list, or to a check that needs no program. PURE."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hafailover.keepalived.draft import Value

_SHELL = re.compile(r"[|&;<>()$`*?\[\]~]")
_BASH = re.compile(r"\[\[|/dev/tcp/")
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
_PROCESS = re.compile(
    rf"(?:/[a-z/]+/)?(?:(?:killall|pkill)\s+-(?:0|CONT|s\s*0)|pidof|pgrep(?:\s+-x)?)\s+({_NAME})(?:\s*>\s*/dev/null)?"
)
_UNIT = re.compile(r"(?:/[a-z/]+/)?systemctl\s+(?:(?:-q|--quiet)\s+)?is-active\s+(?:(?:-q|--quiet)\s+)?([\w:.@-]+)")
_TCP = re.compile(
    r"""(?:(?:/usr)?/bin/)?(?:bash\s+-c\s+)?["']?\s*(?:cat\s+|exec\s+\d?|:\s*)?<\s*/dev/tcp/([\w.-]+)/(\d{1,5})["']?"""
    r"""|(?:/[a-z/]+/)?nc\s+(?:-w\s*\d+\s+)?-z\s+(?:-w\s*\d+\s+)?([\w.-]+)\s+(\d{1,5})"""
)
_TEST = r"(?:test|\[\[?)\s+{flags}\s+(/[^\s\]]+)(?:\s+\]\]?)?"
_ABSENT = re.compile(
    _TEST.format(flags="-[ef]") + r"\s*&&\s*exit\s+1(?:\s*\|\|\s*exit\s+0)?|" + _TEST.format(flags=r"(?:!\s+-[ef])")
)
_PRESENT = re.compile(_TEST.format(flags="-[ef]") + r"(?:\s*&&\s*exit\s+0\s*\|\|\s*exit\s+1)?")
_MOST_PORT = 65_535


def argv(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the argument list for a program as keepalived is told of it: one text, or a word for each argument."""
    text = " ".join(words)
    if len(words) == 1 and _SHELL.search(text):
        return _by_shell(text)
    parts = list(words)
    if len(words) == 1:
        try:
            parts = shlex.split(text)
        except ValueError:
            return _by_shell(text)
    if not parts:
        return ()
    return tuple(parts) if parts[0].startswith("/") else _by_shell(f"exec {shlex.join(parts)}")


def _by_shell(text: str) -> tuple[str, ...]:
    return ("/bin/bash" if _BASH.search(text) else "/bin/sh", "-c", text)


def native(words: tuple[str, ...]) -> tuple[str, dict[str, Value]] | None:
    """Return the keys of a check that finds out the same by itself, and the name that it must have; or None.

    The name is empty where any will do.
    """
    text = " ".join(words).strip()
    if found := _PROCESS.fullmatch(text):
        return found[1], {"type": "process"}
    if found := _UNIT.fullmatch(text):
        return "", {"type": "systemd", "unit": found[1]}
    if (found := _TCP.fullmatch(text)) and 0 < int(found[2] or found[4]) <= _MOST_PORT:
        return "", {"type": "tcp", "address": f"{found[1] or found[3]}:{int(found[2] or found[4])}"}
    if found := _ABSENT.fullmatch(text):
        return "", {"type": "file", "path": found[1] or found[2], "reverse": True}
    if found := _PRESENT.fullmatch(text):
        return "", {"type": "file", "path": found[1]}
    return None
