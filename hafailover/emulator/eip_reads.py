"""What DescribeAddresses answers: the EIPs and what each is bound to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hafailover.emulator.params import MAX_FILTERS, Params
from hafailover.emulator.reads import CREATED_ISO
from hafailover.emulator.values import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hafailover.emulator.network import Eip, Network

Content = dict[str, Any]

# Filter -> the field of an Address that it is compared with.
FILTERS: Mapping[str, str] = {
    "address-id": "AddressId",
    "address-name": "AddressName",
    "address-ip": "AddressIp",
    "address-status": "AddressStatus",
    "instance-id": "InstanceId",
    "private-ip-address": "PrivateAddressIp",
    "network-interface-id": "NetworkInterfaceId",
    "instance-type": "InstanceType",
    "is-arrears": "IsArrears",
    "address-type": "AddressType",
    "address-isp": "InternetServiceProvider",
}


def describe_addresses(network: Network, raw: Mapping[str, Any]) -> Content:
    """DescribeAddresses: by ids or by filters; an id that there is not is no error."""
    params = Params(raw, ("AddressIds", "Filters", "Offset", "Limit"))
    ids = params.ids("AddressIds", "eip", "InvalidParameterValue.AddressIdMalformed")
    too_many = isinstance(raw.get("Filters"), list) and len(raw["Filters"]) > MAX_FILTERS
    if too_many:
        raise ApiError("LimitExceeded.NumberOfFilters", f"There are at most {MAX_FILTERS} filters.")
    filters = params.filters(FILTERS, "InvalidParameter.InvalidFilter")
    if ids and "address-id" in filters:
        raise ApiError("InvalidParameter", "AddressIds and the filter address-id exclude each other.")
    shown = [render_eip(network, eip) for eip in network.eips.values() if not ids or eip.id in ids]
    found = [
        each for each in shown if all(_text(each[FILTERS[name]]) in values for name, values in filters.items())
    ]
    return {"TotalCount": len(found), "AddressSet": found[params.page()]}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def render_eip(network: Network, eip: Eip) -> Content:
    """Return an Address; one that is not the instance's own is bound to an ENI, whoever has that."""
    carrier = network.carrier_of(eip)
    eni, ip = carrier or (None, None)
    own = eni is not None and ip is not None and eni.primary and ip.primary
    return {
        "AddressId": eip.id,
        "AddressName": eip.name,
        "AddressStatus": network.state_of(eip).value,
        "AddressIp": eip.address,
        "InstanceId": (eni.instance_id or "") if eni else "",
        "CreatedTime": CREATED_ISO,
        "NetworkInterfaceId": eni.id if eni else "",
        "PrivateAddressIp": ip.address if ip else "",
        "IsArrears": False,
        "IsBlocked": False,
        "IsEipDirectConnection": False,
        "AddressType": "EIP",
        "CascadeRelease": False,
        "InternetServiceProvider": "BGP",
        "LocalBgp": False,
        "Bandwidth": 1,
        "InternetChargeType": "TRAFFIC_POSTPAID_BY_HOUR",
        "InstanceType": ("CVM" if own else "ENI") if eni else "",
        "TagSet": [],
    }
