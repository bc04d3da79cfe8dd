"""One switch: `pytest --rewrite-scenarios` writes the output that the transcripts have now into their files."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-scenarios", action="store_true", help="write what happens now into the transcripts")
