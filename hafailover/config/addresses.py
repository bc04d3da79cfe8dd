"""Hosts, ports and URLs: whether a text is one, and its parts in one spelling, so that duplicates are seen.

Every function raises ValueError with the rest of a sentence that begins with the text: "has no port".
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

_LABEL = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?", re.ASCII)
_HOST_AND_PORT = re.compile(r"(?:\[([^\[\]]*)\]|([^:\[\]]*)):([0-9]{1,5})", re.ASCII)
_URL_TEXT = re.compile(r"[!-~]{1,2048}", re.ASCII)
_LONGEST_HOST = 253
_HIGHEST_PORT = 65535


def ip(text: str) -> IPv4Address | IPv6Address:
    """Return the IP address, without a prefix length and without an IPv6 zone."""
    try:
        address = ip_address(text)
    except ValueError:
        raise ValueError("is not an IP address") from None
    if "%" in text:
        raise ValueError("has an IPv6 zone")
    return address


def host(text: str) -> str:
    """Return the host name or IP address in lower case (RFC 1123; a last label of digits means IPv4)."""
    labels = text.split(".")
    if ":" in text or labels[-1].isdigit():
        return str(ip(text))
    if len(text) > _LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("is not a host name")
    return text.lower()


def _split(text: str) -> tuple[str, bool, int]:
    match = _HOST_AND_PORT.fullmatch(text)
    if match is None:
        raise ValueError("has no port")
    bracketed, plain, port = match.groups()
    if not 1 <= int(port) <= _HIGHEST_PORT:
        raise ValueError("has a port outside 1 to 65535")
    return (plain, False, int(port)) if bracketed is None else (bracketed, True, int(port))


def ip_and_port(text: str) -> tuple[str, int]:
    """Return the parts of "10.0.0.1:80" or "[fd00::1]:80"."""
    name, bracketed, port = _split(text)
    try:
        address = ip(name)
    except ValueError:
        raise ValueError("does not name an IP address") from None
    if bracketed != (address.version == 6):  # noqa: PLR2004 - the IP version
        raise ValueError("has brackets in the wrong place")
    return str(address), port


def host_and_port(text: str) -> tuple[str, int]:
    """Return the parts of "name:80", "10.0.0.1:80" or "[fd00::1]:80"."""
    if text.startswith("["):
        return ip_and_port(text)
    name, _, port = _split(text)
    return host(name), port


def url(text: str) -> str:
    """Return the text if it is an absolute http or https URL without user, password and fragment."""
    if not _URL_TEXT.fullmatch(text):
        raise ValueError("is not a URL")
    try:
        parts = urlsplit(text)
        name, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("has a malformed host or port") from None
    if parts.scheme not in {"http", "https"} or not name:
        raise ValueError("does not begin with http://HOST or https://HOST")
    if port == 0:
        raise ValueError("has a malformed host or port")
    host(name)
    if parts.fragment or "@" in parts.netloc:
        raise ValueError("has a user, a password or a fragment")
    return text


def base_url(text: str) -> str:
    """Return such a URL that has no path and no query, without a slash at its end."""
    parts = urlsplit(url(text))
    if parts.path not in {"", "/"} or parts.query:
        raise ValueError("has a path")
    return f"{parts.scheme}://{parts.netloc}"


def endpoint(text: str) -> str:
    """Return a base URL, "host:port" or a host alone."""
    if "://" in text:
        return base_url(text)
    if ":" in text:
        host_and_port(text)
    else:
        host(text)
    return text.lower()
