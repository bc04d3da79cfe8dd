"""config: a file's text to a configuration."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

from hafailover.config import check, duration, loader, schema
from hafailover.config.findings import MOST, Findings
from hafailover.election.values import Handover
from hafailover.errors import ConfigError
from tests.fuzz.source import Source

FILE = "config.toml"
KEYS = (bytes(32),)
LONGEST_MESSAGE = 4096
EXAMPLES = Path(__file__).parents[3] / "config"


def _uncommented(text: str) -> str:
    """Return an example with its comments gone and the defaults that it shows in comments given."""
    lines = (re.sub(r"^#(?=[a-z_]+ = )", "", line) for line in text.splitlines())
    plain = (re.sub(r"^#.*| {2,}#.*$", "", line).rstrip() for line in lines)
    return "\n".join(line for line in plain if line) + "\n"


MINIMAL = _uncommented((EXAMPLES / "minimal.toml").read_text())
WHOLE = _uncommented((EXAMPLES / "hafailover.toml").read_text())
SKELETONS = tuple(tuple(text.splitlines()) for text in (MINIMAL, WHOLE))
_TABLES = (
    schema.CLUSTER,
    schema.HEARTBEAT,
    schema.CLOUD,
    schema.NODE,
    schema.GROUP,
    schema.CHECK,
    schema.NOTIFY,
    schema.MQTT,
    schema.METRICS,
    schema.CONTROL,
    schema.STATE,
    schema.LOG,
)
WORDS = tuple(sorted({key.name for table in _TABLES for key in table.keys} | {"no_such_key", '"a b"', "a.b"}))
HEADS = (
    *(f"[{table.name}]" for table in _TABLES),
    "[[node]]",
    "[[group]]",
    "[[group.check]]",
    "[group.notify]",
    "[a.b.c]",
)
VALUES = (
    "true",
    "false",
    "0",
    "1",
    "-254",
    "256",
    "65536",
    "1" + "0" * 30,
    "0x" + "f" * 40,
    "1e400",
    "nan",
    "1979-05-27T07:32:00Z",
    '""',
    '"0s"',
    '"30ms"',
    '"200ms"',
    '"1.5s"',
    '"1.0005s"',
    '"999999999999h"',
    '"10.0.1.100"',
    '"fd00::1"',
    '"[fd00::17]:7694"',
    '"10.0.1.17:7694"',
    '"0.0.0.0:80"',
    '"localhost:80"',
    '"http://127.0.0.1:80/healthz"',
    '"http://[::1]/"',
    '"http://a:/?#"',
    '"/"',
    '"/a b"',
    '"role:x"',
    '"file:/a"',
    '"tcp"',
    '"script"',
    '"http"',
    '"eth0"',
    '"\\u0000"',
    '"\\U0001F600"',
    "'''\na\n'''",
    "[]",
    "[[]]",
    '["10.0.1.100", "10.0.1.101"]',
    '["vip", "cloud"]',
    '["/bin/true", "a"]',
    "{}",
    '{ name = "x" }',
    "{ web-b = 200 }",
    '{ web-a = 1, "web-b" = 255 }',
    '{ "a b" = 1 }',
    "{ web-a = 256 }",
)
RAW = 255
SEEDS = (
    b"\x00\x00",
    b"\x01\x00",
    b"\x01\x03\x04\x01\x05\x02\x09\x03\x11\x07",
    bytes([RAW]) + MINIMAL.encode(),
    bytes([RAW]) + WHOLE.encode(),
    bytes([RAW]) + b"a" + b".a" * 31 + b" = 1",
    bytes([RAW]) + b"a = " + b"[" * 1500,
    bytes([RAW]) + b"a = " + b"{a = " * 800,
)


def one(data: bytes) -> None:
    """Any text is a configuration that a text made from it says again, under the same digest, and of which
    `check` can report; or a ConfigError whose problems each name the file, in bounded and printable words.
    """
    source = Source(data)
    kind = source.byte()
    if kind == RAW:
        text = source.rest().decode("utf-8-sig", "replace")
    else:
        text = mutant(list(SKELETONS[kind % len(SKELETONS)]), source)
    try:
        found = _load(text)
    except ConfigError as error:
        _check_problems(error)
        return
    report = check.report(found)
    json.dumps(check.as_json(report), allow_nan=False)
    assert check.as_text(report).endswith("\n")
    again = _load(written(found))
    assert again == found
    assert again.digest == found.digest


def _load(text: str) -> Any:
    findings = Findings(FILE)
    root = loader.parse(text, findings)
    findings.raise_if_any()
    return loader.build(root, Path(FILE), KEYS)


def _check_problems(error: ConfigError) -> None:
    assert 0 < len(error.problems) <= MOST + 1
    for problem in error.problems:
        assert problem.file == FILE
        assert problem.message
        assert len(str(problem)) <= LONGEST_MESSAGE, len(str(problem))
        assert str(problem).isprintable(), ascii(str(problem))


def mutant(lines: list[str], source: Source) -> str:
    """Return the file with up to 8 of its lines changed; most changes leave it TOML."""
    for _ in range(source.below(8)):
        at = source.below(len(lines)) if lines else 0
        key, _, value = lines[at].partition(" = ") if lines else ("", "", "")
        match source.below(9):
            case 0:
                lines[at : at + 1] = []
            case 1:
                lines.insert(at, source.pick(lines) if lines else "")
            case 2:
                lines.insert(at, source.pick(HEADS))
            case 3:
                lines.insert(at, f"{source.pick(WORDS)} = {source.pick(VALUES)}")
            case 4:
                lines[at : at + 1] = [f"{source.pick(WORDS)} = {value}"]
            case 5:
                lines[at : at + 1] = [source.take(source.below(16)).decode("utf-8", "replace")]
            case 6:  # another line's value
                lines[at : at + 1] = [f"{key} = {(source.pick(lines) if lines else '').partition(' = ')[2]}"]
            case 7:
                lines[at : at + 1] = [f"{key} = {json.dumps(source.text())}"]
            case _:
                lines[at : at + 1] = [f"{key} = {source.pick(VALUES)}"]
    return "\n".join(lines) + "\n"


def written(config: Any) -> str:
    """Return a file that says this configuration: every key that has a value, no defaults left out."""
    lines: list[str] = []
    for child in schema.ROOT.children:
        value = getattr(config, child.field)
        for model in value if child.at_most is not None else (value,):
            if model is not None:
                lines += _table(child.table, model, child.table.name, many=child.at_most is not None)
    return "\n".join(lines) + "\n"


def _table(table: schema.Table, model: Any, path: str, *, many: bool) -> list[str]:
    lines = [f"[[{path}]]" if many else f"[{path}]"]
    for key in table.keys:
        values = tuple(getattr(model, name) for name in key.targets)
        if key.name != "key_file" and not _absent(table, model, key.name, values):
            lines.append(f"{key.name} = {_value(key, values)}")
    for child in table.children:
        value = getattr(model, child.field)
        for each in value if child.at_most is not None else (value,):
            lines += _table(child.table, each, f"{path}.{child.table.name}", many=child.at_most is not None)
    return lines


def _absent(table: schema.Table, model: Any, name: str, values: tuple[Any, ...]) -> bool:
    """Whether this key was not given: it has no value, or says nothing to this type of check."""
    if table is schema.CHECK and name == "status":
        return bool(model.type != "http")
    optional = table is schema.CHECK or table is schema.NOTIFY
    return values[0] is None or (optional and values[0] in ("", ()))


def _value(key: schema.Key, values: tuple[Any, ...]) -> str:
    value = values[0]
    if key.name == "priorities":
        return f"{{ {', '.join(f'{_toml(name)} = {priority}' for name, priority in value)} }}"
    if len(values) > 1 or key.name == "address":
        host, port = values if len(values) > 1 else value
        return _toml(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    return _toml(duration.render(value) if key.targets[0].endswith("_ms") else value)


def _toml(value: Any) -> str:
    if isinstance(value, bool | int):
        return json.dumps(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    text = json.dumps(value.value if isinstance(value, Handover) else str(value), ensure_ascii=False)
    text = text.replace("\x7f", "\\u007f")
    assert tomllib.loads(f"a = {text}")
    return text
