"""The parameters of one request, checked as the API documents say; every complaint is an `ApiError`."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any

from hafailover.emulator.values import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_IDS = 100
MAX_ADDRESSES = 10
MAX_FILTERS = 10
MAX_FILTER_VALUES = 100
ANY_TAG = "tag:"  # a filter may name any key behind it
MAX_TOKEN = 64
MAX_TEXT = 256
MALFORMED = "InvalidParameterValue.Malformed"

Filters = dict[str, tuple[str, ...]]


class Params:
    """The request's fields; `known` are those that the action has, any other is an UnknownParameter."""

    def __init__(self, raw: Mapping[str, Any], known: Iterable[str]) -> None:
        self._raw = raw
        for name in raw:
            if name not in known:
                raise ApiError("UnknownParameter", f"The parameter `{name}` is not recognized.")

    def has(self, name: str) -> bool:
        """Tell whether the field was sent, and not as null."""
        return self._raw.get(name) is not None

    def text(self, name: str, most: int = MAX_TEXT) -> str:
        """Return a required string."""
        if not self.has(name):
            raise ApiError("MissingParameter", f"The request is missing the parameter `{name}`.")
        return _text(self._raw[name], name, most)

    def id(self, name: str, *prefixes: str) -> str:
        """Return a required id that begins with one of the prefixes, as in eni-xxxxxxxx."""
        return check_id(self.text(name), name, *prefixes)

    def ids(self, name: str, prefix: str, malformed: str = MALFORMED) -> tuple[str, ...]:
        """Return a list of up to 100 ids, empty where the field was not sent."""
        values = self.list(name, MAX_IDS)
        return tuple(check_id(_text(v, name, MAX_TEXT), name, prefix, malformed=malformed) for v in values)

    def list(self, name: str, most: int) -> tuple[Any, ...]:
        """Return a list, empty where the field was not sent."""
        values = self._raw.get(name) or []
        if not isinstance(values, list):
            raise _wrong_type(name, "a list")
        if len(values) > most:
            raise ApiError("InvalidParameterValue.LimitExceeded", f"`{name}` takes at most {most} values.")
        return tuple(values)

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """Return a number in low..high."""
        value = default if self._raw.get(name) is None else self._raw[name]
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong_type(name, "an integer")
        return _within(value, name, low, high)

    def flag(self, name: str) -> bool:
        """Return a boolean, False where the field was not sent."""
        value = self._raw.get(name) or False
        if not isinstance(value, bool):
            raise _wrong_type(name, "a boolean")
        return value

    def text_page(self) -> slice:
        """Return what Offset and Limit ask for where an action takes them as strings."""
        offset = self._text_number("Offset", 0, 0, 2**31 - 1)
        return slice(offset, offset + self._text_number("Limit", 20, 1, 100))

    def _text_number(self, name: str, default: int, low: int, high: int) -> int:
        text = self.text(name) if self.has(name) else str(default)
        if not re.fullmatch("[0-9]{1,10}", text):
            raise ApiError(MALFORMED, f"`{name}`: {text!r} is not a number.")
        return _within(int(text), name, low, high)

    def page(self) -> slice:
        """Return what Offset and Limit (default 20, at most 100) ask for."""
        offset = self.integer("Offset", 0, 0, 2**31 - 1)
        return slice(offset, offset + self.integer("Limit", 20, 1, 100))

    def address(self, name: str) -> str:
        """Return a required IPv4 address."""
        return check_address(self.text(name), name)

    def filters(self, known: Iterable[str], unknown_code: str, most: int = MAX_FILTER_VALUES) -> Filters:
        """Return the filters by name, each of at most so many values; several of one name are taken together."""
        found: Filters = {}
        for entry in self.list("Filters", MAX_FILTERS):
            name, values = _filter(entry, most)
            if (ANY_TAG if name.startswith(ANY_TAG) else name) not in known:
                raise ApiError(unknown_code, f"The filter `{name}` is not known here.")
            found[name] = found.get(name, ()) + values
        return found


def _within(value: int, name: str, low: int, high: int) -> int:
    if not low <= value <= high:
        raise ApiError("InvalidParameterValue.Range", f"`{name}` is {value}, allowed is {low}..{high}.")
    return value


def _filter(entry: object, most: int) -> tuple[str, tuple[str, ...]]:
    if not isinstance(entry, dict) or set(entry) != {"Name", "Values"}:
        raise ApiError("InvalidParameter.FilterNotDict", "A filter is an object with Name and Values.")
    values = entry["Values"]
    if not isinstance(values, list):
        raise ApiError("InvalidParameter.FilterValuesNotList", "The Values of a filter are a list.")
    if len(values) > most:
        raise ApiError("InvalidParameterValue.LimitExceeded", f"A filter has at most {most} values.")
    return _text(entry["Name"], "Filters.Name", MAX_TEXT), tuple(
        _text(v, "Filters.Values", MAX_TEXT) for v in values
    )


def _text(value: object, name: str, most: int) -> str:
    if not isinstance(value, str):
        raise _wrong_type(name, "a string")
    if len(value) > most:
        raise ApiError("InvalidParameterValue.TooLong", f"`{name}` is longer than {most} characters.")
    return value


def _wrong_type(name: str, wanted: str) -> ApiError:
    return ApiError("InvalidParameter", f"The parameter `{name}` is not {wanted}.")


def check_id(value: str, name: str, *prefixes: str, malformed: str = MALFORMED) -> str:
    """Return the id if it is a prefix, a dash and eight lower-case letters or digits."""
    if not re.fullmatch(rf"(?:{'|'.join(prefixes)})-[0-9a-z]{{8}}", value):
        raise ApiError(malformed, f"`{name}`: {value!r} is not of the form {prefixes[0]}-xxxxxxxx.")
    return value


def check_address(value: object, name: str) -> str:
    """Return the text of an IPv4 address."""
    try:
        return str(IPv4Address(_text(value, name, MAX_TEXT)))
    except AddressValueError:
        raise ApiError(MALFORMED, f"`{name}`: {value!r} is not an address.") from None


def check_ipv6(value: object, name: str) -> str:
    """Return the text of an IPv6 address, in the shortest form."""
    text = _text(value, name, MAX_TEXT)
    try:
        address = IPv6Address(text)
    except AddressValueError:
        address = None
    if address is None or address.scope_id is not None:
        raise ApiError(MALFORMED, f"`{name}`: {value!r} is not an IPv6 address.")
    return str(address)
