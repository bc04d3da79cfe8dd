"""docs/mqtt.schema.json, as a listener would hold messages against it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMA: dict[str, Any] = json.loads((Path(__file__).parents[3] / "docs" / "mqtt.schema.json").read_text())


def problems(document: Any, kind: str) -> list[str]:
    """Return what is wrong with a document of this kind, one of the schema's definitions."""
    validator = Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": SCHEMA["$defs"]})
    return [error.message for error in validator.iter_errors(document)]


def strict(kind: str) -> dict[str, Any]:
    """Return the definition as one that allows no field that it does not name."""
    definition: dict[str, Any] = SCHEMA["$defs"][kind]
    return {**definition, "additionalProperties": False}
