from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hafailover.config import addresses

if TYPE_CHECKING:
    from collections.abc import Callable


def reason(function: Callable[[str], object], text: str) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        function(text)
    return str(caught.value)


def test_an_address_has_one_spelling() -> None:
    assert str(addresses.ip("FD00:0::1")) == "fd00::1"
    assert str(addresses.ip("10.0.1.100")) == "10.0.1.100"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("10.0.1.300", "is not an IP address"),
        ("10.0.1", "is not an IP address"),
        ("010.0.1.1", "is not an IP address"),
        ("10.0.1.1/24", "is not an IP address"),
        ("", "is not an IP address"),
        ("fe80::1%eth0", "has an IPv6 zone"),
    ],
)
def test_a_malformed_address_is_refused(text: str, why: str) -> None:
    assert reason(addresses.ip, text) == why


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("Web-1.Example.COM", "web-1.example.com"),
        ("a", "a"),
        ("10.0.0.1", "10.0.0.1"),
        ("FD00::1", "fd00::1"),
        ("1a", "1a"),
    ],
)
def test_a_host_is_a_name_or_an_address(text: str, host: str) -> None:
    assert addresses.host(text) == host


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not a host name"),
        ("a..b", "is not a host name"),
        ("-a", "is not a host name"),
        ("a_b", "is not a host name"),
        ("a" * 64, "is not a host name"),
        (".".join(["a" * 50] * 6), "is not a host name"),
        ("10.0.0.999", "is not an IP address"),
        ("a:b", "is not an IP address"),
    ],
)
def test_a_malformed_host_is_refused(text: str, why: str) -> None:
    assert reason(addresses.host, text) == why


def test_a_port_follows_an_address() -> None:
    assert addresses.ip_and_port("10.0.0.1:80") == ("10.0.0.1", 80)
    assert addresses.ip_and_port("[FD00::1]:65535") == ("fd00::1", 65535)
    assert addresses.host_and_port("DB.internal:5432") == ("db.internal", 5432)
    assert addresses.host_and_port("[::1]:1") == ("::1", 1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("10.0.0.1", "has no port"),
        ("fd00::1:80", "has no port"),
        ("10.0.0.1:", "has no port"),
        ("10.0.0.1:http", "has no port"),
        ("10.0.0.1:0", "has a port outside 1 to 65535"),
        ("10.0.0.1:65536", "has a port outside 1 to 65535"),
        ("web-a:80", "does not name an IP address"),
        ("[fe80::1%2]:80", "does not name an IP address"),
        ("[10.0.0.1]:80", "has brackets in the wrong place"),
    ],
)
def test_a_malformed_pair_is_refused(text: str, why: str) -> None:
    assert reason(addresses.ip_and_port, text) == why


@pytest.mark.parametrize(
    "text", ["http://127.0.0.1:80/healthz", "https://a.example/x?y=1", "http://[::1]:8080", "http://a/%20"]
)
def test_a_url_is_kept_as_it_is(text: str) -> None:
    assert addresses.url(text) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not a URL"),
        ("http://a/ b", "is not a URL"),
        ("http://\u00e4/", "is not a URL"),
        ("http://a/" + "x" * 2048, "is not a URL"),
        ("ftp://a/", "does not begin with http://HOST or https://HOST"),
        ("127.0.0.1/healthz", "does not begin with http://HOST or https://HOST"),
        ("http:///healthz", "does not begin with http://HOST or https://HOST"),
        ("http://[::1/", "has a malformed host or port"),
        ("http://a:99999/", "has a malformed host or port"),
        ("http://a:0/", "has a malformed host or port"),
        ("http://a_b/", "is not a host name"),
        ("http://user:secret@a/", "has a user, a password or a fragment"),
        ("http://a/#top", "has a user, a password or a fragment"),
    ],
)
def test_a_malformed_url_is_refused(text: str, why: str) -> None:
    assert reason(addresses.url, text) == why


def test_a_base_url_has_no_path() -> None:
    assert addresses.base_url("http://127.77.0.1:9080/") == "http://127.77.0.1:9080"
    assert reason(addresses.base_url, "http://a/b") == "has a path"
    assert reason(addresses.base_url, "http://a?b") == "has a path"


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("vpc.tencentcloudapi.com", "vpc.tencentcloudapi.com"),
        ("VPC.internal:8443", "vpc.internal:8443"),
        ("http://127.77.0.1:9080/", "http://127.77.0.1:9080"),
    ],
)
def test_an_endpoint_is_a_host_a_pair_or_a_base_url(text: str, endpoint: str) -> None:
    assert addresses.endpoint(text) == endpoint


@given(st.text())
def test_any_text_is_judged(text: str) -> None:
    for function in (
        addresses.host,
        addresses.host_and_port,
        addresses.ip_and_port,
        addresses.url,
        addresses.endpoint,
    ):
        try:
            assert function(text)
        except ValueError as error:
            assert str(error).split()[0] in {"is", "has", "does"}  # noqa: PT017 - any of several
