"""Runs one harness under atheris, which ends the process when it is done: `python -m tests.fuzz.child TARGET ...`.

What follows the target goes to libFuzzer. The product and the pure Python parsers below it are instrumented.
"""

from __future__ import annotations

import sys

import atheris

INSTRUMENTED = ["hafailover", "tests.fuzz", "tomllib", "h11"]


def main() -> None:
    """Fuzz; does not return."""
    name = sys.argv.pop(1)
    with atheris.instrument_imports(include=INSTRUMENTED):
        from tests.fuzz import engine  # noqa: PLC0415 - it and all it imports has to be instrumented

        target = engine.harness(name)
    atheris.Setup(sys.argv, target.one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
