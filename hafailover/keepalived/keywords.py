"""What is said of the keywords of which nothing is made: docs/from-keepalived.md has the whole table. PURE."""

from __future__ import annotations

import re
from typing import Final

from hafailover.keepalived.remarks import Verdict

NO, GONE, SAME, NEW = Verdict.MEANINGLESS, Verdict.MISSING, Verdict.CARRIED, Verdict.CHANGED

_ARP = "a VPC ignores gratuitous ARP; the cloud is told to move the address"
_MULTICAST = "a VPC carries no multicast"
_WIRE = "heartbeats are UDP datagrams of a format of their own"
_MAIL = "alert by the rules of config/prometheus/alerts.yml, or mail from a hook"
_OBSERVE = "there are metrics, `hafailover status --json` and a status page"
_SCHEDULING = "systemd gives the service its share (CPUWeight=, OOMScoreAdjust=)"
_KEY = "heartbeats are authenticated with a key of their own: run `hafailover keygen`"
_LVS = "balancing has no counterpart: keep keepalived for LVS, without vrrp_instance, or use a CLB"
_HOUSE = "is of keepalived's own processes"
_ROUTES = "set it in the guest's network configuration, or in the hooks master and backup"
_FIFO = "there is no FIFO: use hooks, the log (JSON) or `hafailover history --json`"

# By keyword, wherever it stands.
TABLE: Final[dict[str, tuple[Verdict, str]]] = {
    "global_defs": (SAME, ""),
    # vrrp_instance
    "virtual_router_id": (SAME, "as the group's name"),
    "unicast_peer": (SAME, ""),
    "unicast_src_ip": (SAME, ""),
    "no_virtual_ipaddress": (NEW, "a group must have an address or an ENI"),
    "track_script": (SAME, ""),
    "track_process": (SAME, ""),
    "track_interface": (SAME, ""),
    "track_file": (SAME, ""),
    "authentication": (NEW, _KEY),
    "auth_type": (NEW, _KEY),
    "auth_pass": (NEW, _KEY),
    "auth_hmac": (NEW, _KEY),
    "version": (NO, _WIRE),
    "unicast_ttl": (NO, "heartbeats are authenticated instead"),
    "unicast_fault_no_peer": (SAME, "there is no multicast to fall back to"),
    "check_unicast_src": (SAME, "only nodes of the file are listened to"),
    "track_src_ip": (SAME, "a daemon without its heartbeat address does not start"),
    "mcast_src_ip": (NO, _MULTICAST),
    "mcast_dst_ip": (NO, _MULTICAST),
    "promote_secondaries": (SAME, "addresses are set so that none depends on another"),
    "dont_track_primary": (SAME, "an interface is only tracked by a check of type interface"),
    "timer_expired_backup": (SAME, "a node that was not running for a while reads ownership before it acts"),
    "thread_timer_expired": (SAME, "a node that was not running for a while reads ownership before it acts"),
    "track_bfd": (GONE, "there is no BFD; heartbeats may be as frequent as 10ms"),
    "accept": (NO, "the master always accepts packets for its addresses"),
    "no_accept": (GONE, "the master always accepts packets for its addresses"),
    "strict_mode": (NO, _WIRE),
    "skip_check_adv_addr": (NO, _WIRE),
    "lower_prio_no_advert": (NO, _WIRE),
    "higher_prio_send_advert": (NO, _WIRE),
    "owner_ignore_adverts": (NO, _WIRE),
    "use_vmac": (NO, "a VPC knows only the MAC address of the ENI"),
    "use_vmac_addr": (NO, "a VPC knows only the MAC address of the ENI"),
    "vmac_xmit_base": (NO, "a VPC knows only the MAC address of the ENI"),
    "use_ipvlan": (NO, "a VPC knows only the MAC address of the ENI"),
    "vrf": (GONE, "the daemon lives in the main routing domain"),
    "native_ipv6": (NO, _WIRE),
    "v3_checksum_as_v2": (NO, _WIRE),
    "old_unicast_checksum": (NO, _WIRE),
    "linkbeat_use_polling": (NO, "the kernel tells of changes"),
    "kernel_rx_buf_size": (NO, _WIRE),
    "debug": (NO, 'see [log] level = "debug"'),
    "lvs_sync_daemon_interface": (GONE, _LVS),
    "notify_deleted": (GONE, "no hook is run for a group that a reload removes: what it has stays where it is"),
    "notify_master_rx_lower_pri": (
        SAME,
        "a master that hears of another one asks the cloud by itself; no hook is run for that",
    ),
    "notify_priority_changes": (GONE, _OBSERVE),
    "smtp_alert": (GONE, _MAIL),
    # helper blocks
    "bfd_instance": (GONE, "there is no BFD; heartbeats may be as frequent as 10ms"),
    "interface_up_down_delays": (GONE, "use rise and fall of a check of type interface"),
    "track_group": (GONE, _ROUTES),
    "static_ipaddress": (GONE, "set it in the guest's network configuration"),
    "static_routes": (GONE, "set it in the guest's network configuration"),
    "static_rules": (GONE, "set it in the guest's network configuration"),
    "linkbeat_interfaces": (NO, "the kernel tells of changes"),
    "garp_group": (NO, _ARP),
    "vrrp_sync_group": (GONE, "none of its instances is there, or none that is not in another one"),
    "sync_group_tracking_weight": (SAME, "weights may be used with a group of any number of addresses"),
    "global_tracking": (SAME, "weights may be used with a group of any number of addresses"),
    # global_defs
    "vrrp_down_timer_adverts": (SAME, ""),
    "script_user": (NEW, "hooks and checks run as the daemon's user (User= of the unit)"),
    "enable_script_security": (SAME, "always so"),
    "notify_fifo": (GONE, _FIFO),
    "notify_fifo_script": (GONE, _FIFO),
    "vrrp_notify_fifo": (GONE, _FIFO),
    "vrrp_notify_fifo_script": (GONE, _FIFO),
    "vrrp_notify_priority_changes": (GONE, _FIFO),
    "fifo_write_vrrp_states_on_reload": (GONE, _FIFO),
    "startup_script": (GONE, "use ExecStartPre= of the unit"),
    "startup_script_timeout": (GONE, "use TimeoutStartSec= of the unit"),
    "shutdown_script": (GONE, "use ExecStopPost= of the unit, or the hook stop"),
    "shutdown_script_timeout": (GONE, "use TimeoutStopSec= of the unit"),
    "vrrp_check_unicast_src": (SAME, "only nodes of the file are listened to"),
    "vrrp_version": (NO, _WIRE),
    "vrrp_strict": (NO, "and it forbids the unicast that a VPC needs"),
    "vrrp_iptables": (NO, "nothing is filtered"),
    "vrrp_ipsets": (NO, "nothing is filtered"),
    "default_interface": (NO, "the interface is that of the node's ENI"),
    "dynamic_interfaces": (SAME, "the interface of an ENI may come and go"),
    "max_auto_priority": (NO, _SCHEDULING),
    "min_auto_priority_delay": (NO, _SCHEDULING),
    "no_email_faults": (GONE, _MAIL),
    "router_id": (SAME, ""),
    "log_unknown_vrids": (SAME, "datagrams of others are counted in the metrics"),
    "json_version": (NO, _OBSERVE),
    "data_use_instance": (NO, _OBSERVE),
    "reload_check_config": (SAME, "a bad file changes nothing"),
    "use_symlink_paths": (NO, _HOUSE),
    "random_seed": (NO, _HOUSE),
    "umask": (NO, "UMask= of the unit"),
    "net_namespace": (GONE, "use NetworkNamespacePath= of the unit"),
    "instance": (NO, _HOUSE),
    "virtual_server": (GONE, _LVS),
    "virtual_server_group": (GONE, _LVS),
    "SSL": (GONE, _LVS),
}

# By what a keyword begins or ends with, where it has no row of its own.
PATTERNS: Final[tuple[tuple[re.Pattern[str], Verdict, str], ...]] = (
    (re.compile(r"(vrrp_|vmac_)?(garp|gna)_.*|vrrp_(min_garp|vmac_garp_intvl)|vmac_.*"), NO, _ARP),
    (re.compile(r"vrrp_mcast_.*|disable_local_igmp|vrrp_rx_bufs_.*"), NO, _MULTICAST),
    (re.compile(r"smtp_.*|notification_email(_from)?"), GONE, _MAIL),
    (re.compile(r"(enable_)?(snmp|traps|dbus).*|.*_stats_update_interval"), GONE, _OBSERVE),
    (re.compile(r"(state|stats|json)_(dump_)?file(_location)?"), NO, _OBSERVE),
    (re.compile(r"(vrrp|checker|bfd)_(rt_priority|priority|rlimit_\w+|cpu_affinity|no_swap)"), NO, _SCHEDULING),
    (
        re.compile(r"lvs_.*|rs_init_notifies|no_checker_emails|checker_.*|net_namespace_ipvs|namespace_.*"),
        GONE,
        _LVS,
    ),
    (re.compile(r"nftables.*"), NO, "nothing is filtered"),
    (re.compile(r"vrrp_(lower|higher|owner|skip)_.*"), NO, _WIRE),
    (
        re.compile(r".*process_names?|.*_rcv_bufs(_force)?|reload_.*|.*_directory|config_save_dir|child_.*"),
        NO,
        _HOUSE,
    ),
    (re.compile(r"iproute_.*|use_pid_dir|set_supplementary_groups|bfd_.*"), NO, _HOUSE),
)


def said_of(keyword: str) -> tuple[Verdict, str]:
    """Return what is said of a keyword of which nothing is made."""
    if keyword in TABLE:
        return TABLE[keyword]
    for pattern, verdict, text in PATTERNS:
        if pattern.fullmatch(keyword):
            return verdict, text
    return Verdict.UNKNOWN, "is no keyword of keepalived that is known here; nothing has been made of it"
