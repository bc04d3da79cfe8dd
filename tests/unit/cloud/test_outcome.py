from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tencentcloud.cvm.v20170312 import errorcodes as cvm
from tencentcloud.vpc.v20170312 import errorcodes as vpc

from hafailover.cloud import outcome
from hafailover.cloud.outcome import Remedy, classify, is_code, known_codes
from hafailover.election.values import Outcome, Refusal

MIGRATE = "MigratePrivateIpAddress"


def test_no_code_stands_twice_in_the_table() -> None:
    codes = [code for _, text in outcome._TABLE for code in outcome._codes(text)]
    assert [code for code, times in Counter(codes).items() if times > 1] == []
    assert len(codes) == len(known_codes()) > 200


@pytest.mark.parametrize(
    ("code", "refusal"),
    [
        ("UnauthorizedOperation.AttachmentNotFound", Refusal.CONFLICT),
        ("UnsupportedOperation.AttachmentNotFound", Refusal.CONFLICT),
        ("ResourceInUse", Refusal.CONFLICT),
        ("UnsupportedOperation.InvalidState", Refusal.CONFLICT),
        ("TaskFailed", Refusal.CONFLICT),
        ("LimitExceeded", Refusal.QUOTA),
        ("LimitExceeded.EniPrivateIpLimit", Refusal.QUOTA),
        ("ResourceInsufficient.Subnet", Refusal.QUOTA),
        ("UnauthorizedOperation", Refusal.PERMISSION),
        ("AuthFailure.SignatureFailure", Refusal.PERMISSION),
        ("OperationDenied.AddressInArrears", Refusal.PERMISSION),
        ("UnauthorizedOperation.PrimaryIp", Refusal.INVALID),
        ("UnsupportedOperation.VpcMismatch", Refusal.INVALID),
        ("InvalidParameterValue.Malformed", Refusal.INVALID),
        # by rule
        ("UnauthorizedOperation.Sub.AttachmentNotFound", Refusal.CONFLICT),
        ("UnsupportedOperation.EniInvalidStateNow", Refusal.CONFLICT),
        ("ResourceInUse.Whatever", Refusal.CONFLICT),
        ("LimitExceeded.Whatever", Refusal.QUOTA),
        ("AuthFailure.Whatever", Refusal.PERMISSION),
        ("UnauthorizedOperation.Whatever", Refusal.INVALID),
        ("InvalidParameterValue.VpcIdMalformed", Refusal.INVALID),
        ("OperationDenied.Whatever", Refusal.INVALID),
    ],
)
def test_a_refusal_proves_that_nothing_was_done(code: str, refusal: Refusal) -> None:
    kind = classify(code, MIGRATE)
    assert (kind.outcome, kind.refusal) == (Outcome.REFUSED, refusal)


@pytest.mark.parametrize(
    "code",
    [
        "RequestLimitExceeded",
        "RequestLimitExceeded.UinLimitExceeded",
        "RequestLimitExceeded.Whatever",
        "LimitExceeded.ActionLimited",
        "Whatever.ActionLimited",
        "ClientConnectError",
        "ClientBusy",
    ],
)
def test_limiters_and_lost_connections_leave_the_request_undone(code: str) -> None:
    assert classify(code, MIGRATE) == outcome.Classification(Outcome.THROTTLED)


@pytest.mark.parametrize(
    "code",
    [
        "UnsupportedOperation.MutexOperationTaskRunning",
        "UnsupportedOperation.ResourceProcessing",
        "OperationDenied.MutexTaskRunning",
        "OperationDenied.InstanceOperationInProgress",
        "DesOperation.MutexTaskRunning",
        "Whatever.MutexTaskRunning",
        "Whatever.SnapshotFileProcessing",
        "MutexOperation.TaskRunning",
        "MutexOperation.Whatever",
    ],
)
def test_a_mutex_says_that_the_cloud_is_at_work_for_somebody(code: str) -> None:
    assert classify(code, MIGRATE) == outcome.Classification(Outcome.THROTTLED, busy=True)


@pytest.mark.parametrize(
    "code",
    [
        "InternalError",
        "InternalError.ModuleError",
        "InternalError.Whatever",
        "InternalServerError",
        "FailedOperation",
        "FailedOperation.NetDetectTimeOut",
        "FailedOperation.Whatever",
        "ServiceUnavailable",
        "ServiceUnavailable.Whatever",
        "ResourceUnavailable",
        "UnsupportedOperation.IdempotentProcessing",
        "Whatever.IdempotentProcessing",
        "ClientNetworkError",
        "ServerNetworkError",
        "ClientTimeout",
        "ClientBadReply",
        "JSONDecodeError",
        "KeyError",
        "ReadTimeout",
        "RemoteProtocolError",
        "NeverHeardOf",
        "OK",
        "",
    ],
)
def test_what_proves_nothing_is_unknown(code: str) -> None:
    assert classify(code, MIGRATE) == outcome.Classification(Outcome.UNKNOWN)


def test_a_resource_that_is_gone_is_a_conflict_only_where_it_may_just_have_moved() -> None:
    assert classify("ResourceNotFound", MIGRATE).refusal is Refusal.CONFLICT
    assert classify("ResourceNotFound", "DetachNetworkInterface").refusal is Refusal.CONFLICT
    assert classify("ResourceNotFound", "AssignPrivateIpAddresses").refusal is Refusal.INVALID
    assert classify("ResourceNotFound", "DescribeVpcTaskResult").outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("AuthFailure.TokenFailure", Remedy.REFRESH_CREDENTIALS),
        ("AuthFailure.SecretIdNotFound", Remedy.REFRESH_CREDENTIALS),
        ("ClientCredentials", Remedy.REFRESH_CREDENTIALS),
        ("AuthFailure.SignatureExpire", Remedy.SYNC_CLOCK),
        ("UnauthorizedOperation", Remedy.GRANT_PERMISSION),
        ("AuthFailure.UnauthorizedOperation", Remedy.GRANT_PERMISSION),
        ("AuthFailure.SignatureFailure", Remedy.NONE),
    ],
)
def test_permission_errors_say_what_could_help(code: str, remedy: Remedy) -> None:
    kind = classify(code, MIGRATE)
    assert (kind.refusal, kind.remedy) == (Refusal.PERMISSION, remedy)


def test_no_code_of_the_sdk_lists_counts_as_applied_and_refusals_go_with_reasons() -> None:
    for module in (vpc, cvm):
        for name, code in vars(module).items():
            if name.isupper():
                kind = classify(code, MIGRATE)
                assert is_code(code)
                assert kind.outcome is not Outcome.APPLIED
                assert (kind.refusal is not None) == (kind.outcome is Outcome.REFUSED)


@given(st.text() | st.sampled_from(sorted(known_codes())), st.text())
def test_any_text_has_an_answer_and_none_says_that_a_write_was_applied(code: str, action: str) -> None:
    kind = classify(code, action)
    assert kind.outcome is not Outcome.APPLIED
    assert (kind.refusal is not None) == (kind.outcome is Outcome.REFUSED)


@pytest.mark.parametrize("value", [None, 3, "", "a b", "A" * 65, "A.B.C.D.E", "ü", "A\n", "A."])
def test_what_is_not_a_code(value: object) -> None:
    assert not is_code(value)
