"""What went wrong with a broker, as one line with the key to look at."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from hafailover.broker import reasons
from hafailover.config.files import UnusableError
from hafailover.config.model import Mqtt

TLS, PLAIN = Mqtt("broker"), Mqtt("broker", 1883, tls=False)


def not_verified(message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = message
    return error


def of_openssl(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] something")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            not_verified("unable to get local issuer certificate."),
            "mqtt.ca_file: the certificate of broker:8883 is not accepted: unable to get local issuer certificate",
        ),
        (
            not_verified("Hostname mismatch, certificate is not valid for 'broker'."),
            (
                "mqtt.host: the certificate of broker:8883 is not accepted: "
                "Hostname mismatch, certificate is not valid for 'broker'"
            ),
        ),
        (
            not_verified("IP address mismatch"),
            "mqtt.host: the certificate of broker:8883 is not accepted: IP address mismatch",
        ),
        (
            of_openssl("WRONG_VERSION_NUMBER"),
            "mqtt.tls: no agreement on TLS with broker:8883: WRONG_VERSION_NUMBER",
        ),
        (TimeoutError(), "mqtt.host: broker:8883 does not answer"),
        (ConnectionResetError(), "mqtt.tls: broker:8883 ended the connection; does it speak TLS on this port?"),
        (ConnectionRefusedError(111, "Connection refused"), "mqtt.host: broker:8883: Connection refused"),
    ],
)
def test_a_connection_that_does_not_come_about(error: OSError, said: str) -> None:
    assert reasons.of_connect(error, TLS) == said


def test_an_alert_of_the_broker_is_about_this_nodes_certificate() -> None:
    alert = "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required (_ssl.c:2570)"
    where = "mqtt.cert_file: broker:8883 does not accept this node's certificate, or the lack of one: "
    assert reasons.of_tls(alert, TLS) == where + "tlsv13 alert certificate required (_ssl.c:2570)"
    assert reasons.of_tls("TLSV1_ALERT_UNKNOWN_CA", TLS) == where + "TLSV1_ALERT_UNKNOWN_CA"


@pytest.mark.parametrize(
    ("code", "begins"),
    [
        (0x86, "mqtt.username, mqtt.password_file: broker:8883 does not let this node in: why"),
        (0x87, "mqtt.username, mqtt.password_file: "),
        (0x85, "mqtt.host: broker:8883 does not accept this node's client id: why"),
        (0x8E, "another client has connected under this node's client id; "),
        (0x84, "mqtt.host: broker:8883 does not speak MQTT 5"),
        (0x01, "mqtt.host: broker:8883 does not speak MQTT 5"),
        (0x89, "mqtt.host: broker:8883: why"),
    ],
)
def test_a_code_of_the_broker(code: int, begins: str) -> None:
    assert reasons.of_code(code, "why", TLS).startswith(begins)


def test_an_end_without_a_word() -> None:
    said = [
        reasons.of_break(PLAIN, connected=connected, again=again)
        for connected, again in ((False, False), (True, False), (True, True))
    ]
    assert said == [
        "mqtt.tls: broker:1883: no answer to the login; does it speak plain MQTT on this port?",
        "mqtt.host: broker:1883: the connection broke",
        "mqtt.host: broker:1883: connections break soon after they stand; is there a second daemon of this name?",
    ]


def test_a_file_that_is_of_no_use() -> None:
    path = Path("/ca")
    assert reasons.of_file("ca_file", path, UnusableError("does not exist")) == "mqtt.ca_file: /ca does not exist"
    assert reasons.of_file("ca_file", path, PermissionError(13, "Permission denied")) == (
        "mqtt.ca_file: /ca cannot be read: Permission denied"
    )
    assert reasons.of_file("cert_file", path, of_openssl("KEY_VALUES_MISMATCH")) == (
        "mqtt.cert_file: /ca holds nothing usable in PEM: KEY_VALUES_MISMATCH"
    )
