"""Every finding that there is: why it matters and how to mend it. PURE.

The names are part of the contract: scripts and alerts look for them. docs/doctor.md has the same list.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """What is the same of every finding of this name."""

    why: str
    mend: str


_CONFIGURATION = {
    "check": Entry(
        "`hafailover check` warns of it: the file is valid, and something in it may not do what it is meant to.",
        "Unless it is meant so: change the file, run `hafailover check`, copy it to all nodes and reload.",
    ),
}

_DAEMON = {
    "daemon-absent": Entry(
        "Without a daemon this node takes nothing over; what follows is what could be found out without it.",
        "`systemctl enable --now hafailover`, then run doctor again. If it runs: is --socket or [control] right?",
    ),
    "daemon-unreadable": Entry(
        "What this node hears of its peers is known to the daemon alone.",
        "Run doctor as root or as a member of the group in [control]; `systemctl status hafailover` says the rest.",
    ),
    "daemon-node": Entry(
        "The daemon that answers is another node's: what it says is not true of this one.",
        "Give --socket of this node's daemon, or --node of the node that the daemon is.",
    ),
    "file-not-loaded": Entry(
        "The daemon works by another file than this one: what was checked here is not what will happen.",
        "`hafailover reload`; what a reload cannot change needs `systemctl restart hafailover`.",
    ),
}

_PEERS = {
    "peer-silent": Entry(
        "Nodes that do not hear each other cannot agree: a failover is then decided by the guards alone.",
        "Is the peer's daemon running? Do both security groups let the UDP port of `address` in, and the guests' "
        "firewalls? `hafailover policy` lists the rules.",
    ),
    "peer-deaf": Entry(
        "The path is cut in one direction: the peer takes this node for dead and will claim what it holds.",
        "Let the UDP port in at the peer: its security group, its firewall, its `address` in the file.",
    ),
    "peer-path": Entry(
        "The peer is heard on another path only: the next fault of that one looks like the death of the peer.",
        "`hafailover status` shows the paths; mend the network or the broker between the nodes.",
    ),
    "peer-config": Entry(
        "The nodes act by different rules: on who goes first, for how long to wait, what to move.",
        "Copy the file from one node to the others and reload each; `hafailover check` prints the digest.",
    ),
    "heartbeat-key": Entry(
        "Datagrams come that were signed with another key, and are thrown away: the nodes do not hear each other.",
        "Copy the key file from one node to the others (mode 0600) and reload each daemon.",
    ),
    "heartbeat-cluster": Entry(
        "Datagrams of another cluster come to this node's address: the name in [cluster] or an address is wrong.",
        "Give all nodes of a cluster the same name in [cluster], and each cluster its own port.",
    ),
    "heartbeat-version": Entry(
        "A daemon speaks another version of the protocol; the nodes do not understand each other.",
        "Install the same version on all nodes.",
    ),
    "heartbeat-stranger": Entry(
        "A node that has the key, and that this file does not list, sends heartbeats here.",
        "Put the node into the file on all nodes, or stop the daemon there.",
    ),
    "heartbeat-name": Entry(
        "Another daemon runs under this node's name: the peers cannot tell the two apart.",
        "Stop the other one: a cloned machine, or a wrong --node.",
    ),
    "heartbeat-address": Entry(
        "A daemon would not start here: it binds this address.",
        "Give this node's own address in the file; if another process has the port, stop it.",
    ),
    "broker": Entry(
        "One heartbeat path, the guard mqtt and the events are missing; no failover needs them.",
        "The text names the key of [mqtt] to look at; if it is so on all nodes, look at the broker.",
    ),
}

_ACCESS = {
    "metadata": Entry(
        "The metadata service tells the instance, the region and the keys of the CVM's role.",
        "It is to be reached from the CVM alone: check [cloud] metadata_url, DNS, and routes to 169.254.0.0/16.",
    ),
    "metadata-instance": Entry(
        "The file gives this node to another instance: addresses would go to a machine that is not this one.",
        "Correct instance_id of the node, or --node; on a cloned machine, correct the file.",
    ),
    "metadata-region": Entry(
        "The API is asked in another region than this CVM is in, and finds none of its ENIs.",
        "Correct [cloud] region, or leave it out: the metadata service tells.",
    ),
    "credentials-absent": Entry(
        "Without keys no request to the cloud is possible, and so no failover.",
        "Bind a CAM role to the CVM, or give [cloud] credentials a file or the environment that has the keys.",
    ),
    "credentials-refused": Entry(
        "The API does not accept the keys, so no failover is possible.",
        "Are they of the right account, enabled, not expired? Is there an allow-list of addresses for them?",
    ),
    "credentials-expiry": Entry(
        "Keys that end soon end in the middle of a failover, and new ones may not be to be had then.",
        "The role's keys are replaced by themselves: see that the metadata service answers and the role is bound.",
    ),
    "credentials-renewal": Entry(
        "These keys are temporary and nothing here replaces them: failovers work until they end, then no longer.",
        'Use `credentials = "role"`, or have the file rewritten before they end.',
    ),
    "api-unreachable": Entry(
        "A failover is a request to this API.",
        "Check [cloud] endpoint and cvm_endpoint, DNS, and the way out: NAT, or the vpc.internal names.",
    ),
    "api-refused": Entry(
        "The API does not say what a failover has to know first.",
        "The code says what it objects to; `hafailover doctor` again, if it was the API's own fault.",
    ),
    "clock": Entry(
        "The API refuses requests that are dated more than five minutes from its own clock.",
        "Synchronize the clock: chronyd or systemd-timesyncd with ntpupdate.tencentyun.com.",
    ),
    "permission": Entry(
        "A failover makes this request, and the API would refuse it.",
        "Attach the policy that `hafailover policy --account UIN` prints to the role or the user of the keys.",
    ),
    "probe-accepted": Entry(
        "The API accepted a request that it has to refuse: it does not keep the rules that doctor relies on.",
        "Look at the ENIs in the console, and report it; run doctor no further on this account.",
    ),
}

_ENIS = {
    "eni-unnamed": Entry(
        "Addresses are moved to a node's ENI, and it is not clear which one that is.",
        "Set `eni` (or `instance_id`) of the node in the file.",
    ),
    "eni-gone": Entry(
        "What is to be moved, or where to, does not exist in this region.",
        "Correct the id in the file, or [cloud] region.",
    ),
    "eni-detached": Entry(
        "Addresses on an ENI that is attached to no CVM lead nowhere.",
        "Attach the ENI to the node's CVM.",
    ),
    "eni-instance": Entry(
        "The addresses would go to another machine than the node's.",
        "Correct `eni` or `instance_id` of the node in the file.",
    ),
    "eni-subnet": Entry(
        "An address can only move between ENIs of its own subnet.",
        "Give each node an ENI in the subnet of the addresses, and set `eni`.",
    ),
    "eni-zone": Entry(
        "An ENI can only be attached to CVMs of its own zone.",
        "Use an ENI and CVMs of one zone; across zones use addresses behind a load balancer.",
    ),
    "eni-vpc": Entry(
        "An ENI can only be attached to CVMs of its own VPC.",
        "Use an ENI of the CVMs' VPC.",
    ),
    "eni-primary": Entry(
        "A primary ENI belongs to its CVM for good and cannot move.",
        "Create a secondary ENI in the console, and name that in `enis`.",
    ),
    "eni-vacant": Entry(
        "Nobody has the ENI, so nobody is served; the next claim would have to attach it.",
        "Attach it to one of the nodes in the console, or start the daemons: one of them will.",
    ),
    "eni-stranger": Entry(
        "The ENI is in use by a machine that is no node of this file; a claim would take it away or be refused.",
        "Detach it there, or correct `enis`.",
    ),
}

_ADDRESSES = {
    "address-range": Entry(
        "The nodes' ENIs cannot have this address: it is outside their subnet, or the subnet keeps it for itself.",
        "Choose a free address of the subnet: not its first two and not its last.",
    ),
    "address-primary": Entry(
        "An ENI's primary address cannot move.",
        "Assign a secondary private address in the console, and name that in `addresses`.",
    ),
    "address-stranger": Entry(
        "The address is another machine's; the daemon refuses to take it away from there.",
        "Unassign it there, or correct `addresses`.",
    ),
    "address-vacant": Entry(
        "Nobody holds the address, so nobody is served; the next claim would have to assign it, and anybody in "
        "the subnet may be given it first.",
        "Assign it to one of the nodes' ENIs with `hafailover provision`, or start the daemons: one of them will.",
    ),
}

_ROOM = {
    "quota-addresses": Entry(
        "A CVM of a given size holds so many addresses per ENI; a move to a full one is refused.",
        "Unassign addresses that are not needed, spread the groups over several ENIs, or take a larger CVM.",
    ),
    "quota-enis": Entry(
        "A CVM of a given size holds so many ENIs; a move to a full one is refused.",
        "Detach ENIs that are not needed, or take a larger CVM.",
    ),
    "security-groups": Entry(
        "Security groups belong to the ENI, and the first one counts most: after a failover other rules hold.",
        "Give the nodes' ENIs the same groups in the same order.",
    ),
    "havip-address": Entry(
        "A HAVIP goes to whoever announces it, and not where the API moves it.",
        "Delete the HAVIP, or give the group another address.",
    ),
    "havip-range": Entry(
        "The API refuses to detach an ENI that is within the range of a HAVIP.",
        "Take the node out of the HAVIP's range.",
    ),
    "traffic-protection": Entry(
        "The API may refuse to move what an ENI with traffic protection has, for as long as it carries traffic.",
        "Switch the protection off for this ENI.",
    ),
}

_GUEST = {
    "guest-capability": Entry(
        "Without CAP_NET_ADMIN the daemon cannot put the address on this machine: traffic would come for nobody.",
        'Run it by its unit (`hafailover install-unit`) or as root, or set guest = "none".',
    ),
    "guest-interface": Entry(
        "The address is put on the interface of the ENI, and that is not there.",
        "`ip link` shows the interfaces; set `interface` of the node, or attach the ENI.",
    ),
    "guest-unreadable": Entry(
        "Whether this machine could take the addresses is not known.",
        "Run doctor as root.",
    ),
    "guest-rp-filter": Entry(
        "With a strict rp_filter the kernel drops what comes in on another interface than answers would leave by.",
        "sysctl net.ipv4.conf.all.rp_filter=2, and the same for the interface; put it into /etc/sysctl.d.",
    ),
    "second-writer": Entry(
        "Two programs that set up one card undo each other's work: until the daemon has mended it, "
        "the address does not answer.",
        "Do as the finding says; docs/guest.md goes through the programs.",
    ),
    "guest-route": Entry(
        "Routes and rules of a group are set when it is taken over; where one cannot be, the node is at fault.",
        "`ip route show table all` and `ip rule` show what there is: mend that, or what the group's key says.",
    ),
    "guest-leftover": Entry(
        "This machine answers itself for an address that another one holds: its own processes do not reach it.",
        "A running daemon removes it. Without one: `ip address del ADDRESS/32 dev INTERFACE`, and see that no "
        "static configuration puts it back.",
    ),
}

CATALOGUE: dict[str, Entry] = {
    **_CONFIGURATION,
    **_DAEMON,
    **_PEERS,
    **_ACCESS,
    **_ENIS,
    **_ADDRESSES,
    **_ROOM,
    **_GUEST,
}
