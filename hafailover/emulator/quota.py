"""What holds for an ENI that is attached to nothing, and how often an action may be called.

The quotas of instances are the product's own table (`cloud.quota`): what an instance of a size that is not in it
may have is unknown, unless a world says it.
"""

from __future__ import annotations

from hafailover.cloud.quota import MAX_PRIVATE_IPS, Quota

MAX_VPC_ENIS = 1000
UNATTACHED = Quota(enis=0, private_ips=MAX_PRIVATE_IPS)

RATE_CODES = ("RequestLimitExceeded", "LimitExceeded.ActionLimited")

# Requests per second of one caller; an action that is not here is not limited (API documents, per action).
RATES: dict[str, int] = {
    "DescribeNetworkInterfaces": 100,
    "MigratePrivateIpAddress": 50,
    "AssignPrivateIpAddresses": 100,
    "UnassignPrivateIpAddresses": 100,
    "CreateNetworkInterface": 50,
    "CreateAndAttachNetworkInterface": 20,
    "AssociateNetworkInterfaceSecurityGroups": 20,
    "DisassociateNetworkInterfaceSecurityGroups": 20,
    "AttachNetworkInterface": 50,
    "DetachNetworkInterface": 100,
    "MigrateNetworkInterface": 100,
    "DescribeVpcTaskResult": 20,
    "DescribeNetworkInterfaceLimit": 20,
    "DescribeInstances": 40,
    "DescribeInstancesStatus": 40,
    "DescribeTaskInfo": 20,
    "StopInstances": 10,
    "StartInstances": 10,
    "RebootInstances": 10,
}
