"""What an answer of the cloud's API proves: error code and action -> refused, throttled or unknown.

Three steps, the first that matches decides: the table of exact codes, rules on suffixes, rules on prefixes.
The table is the union of the API's common codes and those of the VPC, EIP and CVM actions in use (error-code
sections of the API documents). Messages are localized and never looked at.

What counts is what the answer *proves*. A limiter and a mutex turn a request away before it does anything:
THROTTLED. A backend failure may come after the effect: UNKNOWN, and so may every failure on this side of the
wire, save those that precede the first byte. A code of no known family proves nothing either.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from hafailover.election.values import Outcome, Refusal

# Codes of this side of the wire; the API has none that begins like this.
CLIENT_CONNECT = "ClientConnectError"  # no connection, so nothing was sent
CLIENT_BUSY = "ClientBusy"  # an earlier write on the same ENI took all the time there was; nothing was sent
CLIENT_CREDENTIALS = "ClientCredentials"  # nothing to sign with; nothing was sent
CLIENT_EXPIRED = "ClientExpired"  # dated back to die soon, and refused for being too old at once
CLIENT_TIMEOUT = "ClientTimeout"  # no complete answer within the deadline
CLIENT_NETWORK = "ClientNetworkError"  # the connection broke before the answer was complete
CLIENT_REPLY = "ClientBadReply"  # an answer that is not one of the API's
HTTP_STATUS = "ServerNetworkError"  # the SDK's code for any HTTP status but 200
SIGNATURE_EXPIRE = "AuthFailure.SignatureExpire"
TASK_FAILED = "TaskFailed"  # accepted, and then the task ended as FAILED

# What only this side may say, because it proves that nothing was done.
UNSENT = frozenset({CLIENT_CONNECT, CLIENT_BUSY, CLIENT_CREDENTIALS, CLIENT_EXPIRED})

# After these the request may still be on its way; after any other code the API has answered it.
UNANSWERED = frozenset({CLIENT_TIMEOUT, CLIENT_NETWORK})

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}(\.[A-Za-z0-9_]{1,63}){0,3}", re.ASCII)


class Remedy(Enum):
    """What this process or its operator could do about a refusal, beyond asking again."""

    NONE = ""
    REFRESH_CREDENTIALS = "fetch new credentials"
    SYNC_CLOCK = "the clock differs from the API's by more than 5 minutes: synchronize it"
    GRANT_PERMISSION = "the CAM policy of the role or key does not allow this action on this resource"


@dataclass(frozen=True, slots=True)
class Classification:
    """What a code proves. `refusal` is set exactly where `outcome` is REFUSED, `busy` as in `MoveResult`."""

    outcome: Outcome
    refusal: Refusal | None = None
    remedy: Remedy = Remedy.NONE
    busy: bool = False


_CONFLICT = Classification(Outcome.REFUSED, Refusal.CONFLICT)
_INVALID = Classification(Outcome.REFUSED, Refusal.INVALID)
_QUOTA = Classification(Outcome.REFUSED, Refusal.QUOTA)
_DENIED = Classification(Outcome.REFUSED, Refusal.PERMISSION)
_UNGRANTED = Classification(Outcome.REFUSED, Refusal.PERMISSION, Remedy.GRANT_PERMISSION)
_STALE_KEY = Classification(Outcome.REFUSED, Refusal.PERMISSION, Remedy.REFRESH_CREDENTIALS)
_CLOCK = Classification(Outcome.REFUSED, Refusal.PERMISSION, Remedy.SYNC_CLOCK)
_THROTTLED = Classification(Outcome.THROTTLED)
_BUSY = Classification(Outcome.THROTTLED, busy=True)
_UNKNOWN = Classification(Outcome.UNKNOWN)

# One entry per line: a family, then its members ("." alone is the bare family).
_TABLE: tuple[tuple[Classification, str], ...] = (
    # the state is not what the caller believed
    (_CONFLICT, f"{TASK_FAILED} ResourceInUse ResourceInUse.Address"),
    # a state conflict in spite of its prefix: the address is not bound to the ENI that the call names
    (_CONFLICT, "UnauthorizedOperation.AttachmentNotFound"),
    (_CONFLICT, "InvalidParameterValue.DuplicatedHaVipAssociations"),
    (
        _CONFLICT,
        """UnsupportedOperation: AttachmentAlreadyExists AttachmentNotFound BindEIP UnbindEIP
        InvalidState ResourceIsInvalidState InvalidInstanceState AddressStatusNotPermit
        InstanceStateNotSupported InstanceStateEnterRescueMode InstanceStateRescueMode
        InstanceStateExitRescueMode InstanceStateFreezing InstanceStateIsolating InstanceStatePending
        InstanceStateLaunchFailed InstanceStateNotRunning
        InstanceStateRunning InstanceStateShutdown InstanceStateStopped InstanceStateStopping
        InstanceStateTerminated InstanceStateTerminating""",
    ),
    (_CONFLICT, "FailedOperation: AddressEniInfoNotFound MasterEniNotFound"),
    (_CONFLICT, "InvalidAddressIdStatus.NotPermit InvalidInstanceId.AlreadyBindEip"),
    (_CONFLICT, "InvalidNetworkInterfaceId.NotFound InvalidPrivateIpAddress.AlreadyBindEip"),
    (
        _CONFLICT,
        """InvalidParameterValue: InstanceHasWanIP InstanceNotMatchAssociateEni InvalidInstanceState
        LBAlreadyBindEip NetworkInterfaceIdNotMatch NetworkInterfaceNotFound PrivateIpAddressNotMatch""",
    ),
    # limiters and mutexes: turned away before anything was done
    (_THROTTLED, "RequestLimitExceeded LimitExceeded.ActionLimited"),
    (_THROTTLED, "RequestLimitExceeded: UinLimitExceeded GlobalRegionUinLimitExceeded IPLimitExceeded"),
    (_BUSY, "MutexOperation.TaskRunning DesOperation.MutexTaskRunning"),
    (_BUSY, "OperationDenied: MutexTaskRunning InstanceOperationInProgress"),
    (_BUSY, "UnsupportedOperation: MutexOperationTaskRunning ResourceProcessing"),
    (
        _THROTTLED,
        """UnsupportedOperation: InstanceStateRebooting
        InstanceStateStarting InstanceStateEnterServiceLiveMigrate InstanceStateServiceLiveMigrate
        InstanceStateExitServiceLiveMigrate""",
    ),
    # the backend failed, perhaps after the effect
    (_UNKNOWN, "FailedOperation InternalError InternalError.ModuleError InternalServerError"),
    (
        _UNKNOWN,
        "ServiceUnavailable ResourceUnavailable FailedOperation.NetDetectTimeOut FailedOperation.TaskFailed",
    ),
    # an earlier request with the same token is under way, and may yet succeed
    (_UNKNOWN, "UnsupportedOperation.IdempotentProcessing"),
    # no room
    (
        _QUOTA,
        """LimitExceeded ResourceInsufficient ResourceInsufficient.Subnet
        AddressQuotaLimitExceeded.DailyAllocate""",
    ),
    (
        _QUOTA,
        "LimitExceeded: Address NetworkInterfaceLimitExceeded EniPrivateIpLimit InstanceAddressQuota",
    ),
    # credentials and policy
    (_STALE_KEY, "AuthFailure.TokenFailure AuthFailure.SecretIdNotFound UnauthorizedOperation.InvalidToken"),
    (_STALE_KEY, "InvalidCredential"),
    (_CLOCK, SIGNATURE_EXPIRE),
    (_UNGRANTED, "AuthFailure.UnauthorizedOperation UnauthorizedOperation"),
    (_DENIED, "AuthFailure AuthFailure: InvalidSecretId MFAFailure SignatureFailure"),
    (_DENIED, "IpInBlacklist IpNotInWhitelist InvalidAccount.NotSupported OperationDenied.AddressInArrears"),
    (_DENIED, "UnauthorizedOperation: NeedApproval NoRealNameAuthentication MFAExpired MFANotFound"),
    (_DENIED, "UnsupportedOperation: AppIdMismatch LockedResources BpaasResources InstanceStateBanning"),
    # requests that can never work as they are
    (_INVALID, "ActionOffline DryRunOperation InvalidAction NoSuchProduct NoSuchVersion UnsupportedRegion"),
    (_INVALID, "UnsupportedProtocol InvalidRequest UnknownParameter MissingParameter"),
    (_INVALID, "AuthFailure.InvalidAuthorization"),
    (_INVALID, "RequestSizeLimitExceeded ResponseSizeLimitExceeded InvalidParameterConflict"),
    (
        _INVALID,
        "InvalidFilter InvalidFilterValue.LimitExceeded InvalidHostId.Malformed InvalidParameterCombination",
    ),
    (_INVALID, "InvalidInstance.NotSupported InvalidInstanceId.Malformed InvalidInstanceId.NotFound"),
    (_INVALID, "InvalidSecurityGroupId.NotFound InvalidSgId.Malformed InvalidZone.MismatchRegion"),
    (_INVALID, "InvalidAddressId.Blocked InvalidAddressId.NotFound LimitExceeded.NumberOfFilters"),
    (_INVALID, "ResourceNotFound ResourceNotFound.HpcCluster UnauthorizedOperation.PrimaryIp"),
    (_INVALID, "OperationDenied: TrafficExceedThreshold TrafficValidationFailed"),
    (
        _INVALID,
        "FailedOperation: IllegalTagKey IllegalTagValue InvalidInstanceApplicationRole TagKeyReserved",
    ),
    (
        _INVALID,
        """InvalidParameter InvalidParameter: Coexist Conflict FilterInvalidKey FilterNotDict
        FilterValuesNotList InvalidFilter MismatchInstanceEniCdc""",
    ),
    (
        _INVALID,
        """InvalidParameterValue InvalidParameterValue: Duplicate DuplicatePara Empty InvalidBusiness
        LimitExceeded Malformed NotUtf8EncodingError ParameterMismatch Range Reserved TooLong
        AddressIdMalformed AddressNotApplicable AddressNotFound Combination
        InstanceDoesNotSupportAnycast InstanceDoesNotSupportEipVisibleOnEni InstanceHasNoWanIP
        InstanceIdMalformed InstanceNoWanIP InstanceNormalPublicIpBlocked
        InstanceVpcDoesNotSupportEipVisibleOnEni InvalidDedicatedClusterId
        InvalidInstanceInternetChargeType MissingAssociateEntity NetworkInterfaceIdMalformed
        OnlySupportedForMasterNetworkCard PrivateIpAddressDoesNotSupportEipVisibleOnEni
        ResourceIdMalformed ResourceNotSupport ZoneNotSupported TagKeyNotFound""",
    ),
    (
        _INVALID,
        """UnsupportedOperation UnsupportedOperation: EniNotSupportTerminationProtection
        IdempotentParameterMismatch InstanceAssociateHavip NotPutVpcSnatIpAddress PrimaryIp
        ResourceMismatch SubEniNotSupportTrunking SubnetNotExists TrafficProtectionNotSupportIPv6
        TrafficValidationFailed UnassignCidrBlock UnsupportedBindLocalZoneEIP
        UnsupportedInstanceFamily VpcMismatch ZoneMismatch EniServiceManaged ActionNotFound
        AddressIpNotSupportInstance IncorrectAddressResourceType InstanceStatusNotPermit InvalidAction
        InvalidAddressInternetChargeType IspNotSupported HibernationForNormalInstance
        InstanceReinstallFailed InstanceStateCorrupted StoppedModeStopCharging""",
    ),
    # this side of the wire, before the first byte ...
    (_THROTTLED, f"{CLIENT_CONNECT} {CLIENT_BUSY} {CLIENT_EXPIRED}"),
    (_STALE_KEY, CLIENT_CREDENTIALS),
    # ... and after it, by our names, the SDK's, and those of the exceptions that the SDK lets through
    (_UNKNOWN, f"{CLIENT_TIMEOUT} {CLIENT_NETWORK} {CLIENT_REPLY} {HTTP_STATUS}"),
    (_UNKNOWN, "ClientError ClientParamsError ClientError.MetadataError JSONDecodeError KeyError TypeError"),
    (
        _UNKNOWN,
        "AttributeError ConnectionError ChunkedEncodingError ReadTimeout WriteTimeout ReadError WriteError",
    ),
    (
        _UNKNOWN,
        "RemoteProtocolError LocalProtocolError CloseError DecodingError TimeoutError UnicodeDecodeError",
    ),
)

# Where an action's own error list gives a code another meaning: the thing named may just have moved away.
_BY_ACTION: dict[tuple[str, str], Classification] = {
    ("MigratePrivateIpAddress", "ResourceNotFound"): _CONFLICT,
    ("DetachNetworkInterface", "ResourceNotFound"): _CONFLICT,
    # the record of a task may lag behind the acceptance of its request
    ("DescribeVpcTaskResult", "ResourceNotFound"): _UNKNOWN,
}

_SUFFIXES: tuple[tuple[str, Classification], ...] = (
    ("MutexTaskRunning", _BUSY),
    ("MutexOperationTaskRunning", _BUSY),
    (".ActionLimited", _THROTTLED),
    ("IdempotentProcessing", _UNKNOWN),
    ("Processing", _BUSY),
    (".AttachmentNotFound", _CONFLICT),
    (".AttachmentAlreadyExists", _CONFLICT),
)

_PREFIXES: tuple[tuple[str, Classification], ...] = (
    ("RequestLimitExceeded", _THROTTLED),
    ("Mutex", _BUSY),
    ("InternalError", _UNKNOWN),
    ("InternalServerError", _UNKNOWN),
    ("ServiceUnavailable", _UNKNOWN),
    ("FailedOperation", _UNKNOWN),
    ("ResourceUnavailable", _UNKNOWN),
    ("ResourceInUse", _CONFLICT),
    ("ResourceNotFound", _CONFLICT),
    ("ResourceInsufficient", _QUOTA),
    ("AuthFailure", _DENIED),
    ("LimitExceeded", _QUOTA),
    ("Invalid", _INVALID),
    ("Missing", _INVALID),
    ("Unsupported", _INVALID),
    ("Unauthorized", _INVALID),  # its unknown members have not been about permissions; the bare code is
    ("OperationDenied", _INVALID),
    ("Unknown", _INVALID),
    ("NoSuch", _INVALID),
)


def _codes(text: str) -> list[str]:
    """Spell out "A.B Family: C D" as A.B, Family.C, Family.D; a bare family stands before its colon."""
    codes: list[str] = []
    family = ""
    for word in text.split():
        if word.endswith(":"):
            family = word[:-1] + "."
        else:
            codes.append(family + word)
    return codes


_EXACT: dict[str, Classification] = {code: kind for kind, text in _TABLE for code in _codes(text)}


def known_codes() -> frozenset[str]:
    """Return every code of the exact table, as it stands on the wire."""
    return frozenset(_EXACT)


def is_code(value: object) -> bool:
    """Tell whether a value has the shape of an error code: bounded, ASCII, at most four dotted words."""
    return isinstance(value, str) and _CODE.fullmatch(value) is not None


def classify(code: str, action: str) -> Classification:
    """Say what `code`, as an answer to `action`, proves. Total: any text has an answer."""
    known = _BY_ACTION.get((action, code)) or _EXACT.get(code)
    return known if known is not None else _by_rule(code)


def _by_rule(code: str) -> Classification:
    if "InvalidState" in code:
        return _CONFLICT
    for suffix, kind in _SUFFIXES:
        if code.endswith(suffix):
            return kind
    for prefix, kind in _PREFIXES:
        if code.startswith(prefix):
            return kind
    return _UNKNOWN
