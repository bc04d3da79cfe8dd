"""Files that are nowhere but in a test, and what is made of them."""

from __future__ import annotations

import contextlib
import fnmatch
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hafailover.config import loader
from hafailover.config.findings import Findings
from hafailover.errors import ConfigError, KeepalivedError
from hafailover.keepalived import facts, mapping, parser
from hafailover.keepalived.draft import FILL_IN, toml
from hafailover.keepalived.remarks import Remarks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hafailover.keepalived.draft import Draft, GroupDraft
    from hafailover.keepalived.facts import View
    from hafailover.keepalived.parser import Parsed, Statement

SAMPLES = Path(__file__).with_name("samples")
MAIN = "k.conf"


@dataclass(slots=True)
class Files:
    """A reader of texts by their names."""

    texts: dict[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        if name not in self.texts:
            raise KeepalivedError(f"{name}: is not a file")
        return self.texts[name]

    def names(self, pattern: str, including: str) -> Sequence[str]:  # noqa: ARG002 - all are in one place
        return sorted(name for name in self.texts if fnmatch.fnmatch(name, pattern))


def parse(text: str, config_id: str = "", environment: dict[str, str] | None = None, **more: str) -> Parsed:
    files = Files({MAIN: text, **{name.replace("_", "."): other for name, other in more.items()}})
    return parser.parse(MAIN, files, config_id, environment or {})


def shape(statements: list[Statement]) -> list[object]:
    """Return statements as nested lists: [word, ..., [statement, ...]] where there is a block."""
    return [[*each.words, *([] if each.block is None else [shape(each.block)])] for each in statements]


@dataclass(slots=True)
class Made:
    """What was made of some texts."""

    draft: Draft
    remarks: Remarks

    @property
    def group(self) -> GroupDraft:
        [group] = self.draft.groups
        return group

    def said(self, keyword: str) -> list[str]:
        """Return what was said of a keyword: "carried over: text"."""
        return [
            f"{each.verdict.value}: {each.text}".removesuffix(": ")
            for each in self.remarks.said
            if each.keyword == keyword
        ]


def view(text: str, config_id: str = "", file: str = MAIN) -> View:
    parsed = parser.parse(file, Files({file: text}), config_id, {})
    return facts.view(file, config_id, parsed)


def make(*texts: str) -> Made:
    """Import one text, or one for each node."""
    names = [MAIN] if len(texts) == 1 else [f"{letter}.conf" for letter in "abcdefgh"[: len(texts)]]
    remarks = Remarks()
    views = [view(text, file=name) for text, name in zip(texts, names, strict=True)]
    return Made(mapping.make(views, remarks), remarks)


def problems(text: str) -> list[str]:
    """Return what `hafailover check` says of a configuration, without a look at the files that it names."""
    findings = Findings("f")
    with contextlib.suppress(ConfigError):
        loader.parse(text, findings)
    return [str(problem) for problem in findings.problems()]


def filled_in(draft: Draft) -> str:
    """Return the text of a configuration after somebody has filled in the blanks."""
    for number, node in enumerate(draft.nodes):
        node.host = node.host or f"10.9.9.{number + 1}"
        node.eni = f"eni-{number:08d}"
    for number, group in enumerate(draft.groups):
        group.addresses = group.addresses or [f"10.9.8.{number + 1}"]
    text = toml(draft, [MAIN])
    assert FILL_IN not in text.partition("\n\n")[2]
    return text


INSTANCE = """
vrrp_instance vip {{
    interface eth0
    virtual_router_id 51
    priority 100
    unicast_src_ip 10.0.1.17
    unicast_peer {{ 10.0.1.16 }}
    virtual_ipaddress {{ 10.0.1.100 }}
    {more}
}}
{rest}
"""


def instance(more: str = "", rest: str = "") -> str:
    """Return an instance with more in it, and more beside it."""
    return INSTANCE.format(more=more, rest=rest)
