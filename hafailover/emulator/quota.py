"""What holds for an ENI that is attached to nothing, and how often an action may be called.

The quotas of instances are the product's own table (`cloud.quota`).
"""

from __future__ import annotations

from hafailover.cloud.quota import LARGEST, Quota, quota_of

__all__ = ["LARGEST", "RATES", "UNATTACHED", "Quota", "quota_of"]

UNATTACHED = Quota(enis=0, private_ips=30)

# Requests per second of one caller; an action that is not here is not limited (API documents, per action).
RATES: dict[str, int] = {
    "DescribeNetworkInterfaces": 100,
    "MigratePrivateIpAddress": 50,
    "AssignPrivateIpAddresses": 100,
    "UnassignPrivateIpAddresses": 100,
    "AttachNetworkInterface": 50,
    "DetachNetworkInterface": 100,
    "MigrateNetworkInterface": 100,
    "DescribeVpcTaskResult": 20,
    "DescribeNetworkInterfaceLimit": 20,
    "DescribeInstances": 40,
    "DescribeInstancesStatus": 40,
    "StopInstances": 10,
    "StartInstances": 10,
    "RebootInstances": 10,
}
