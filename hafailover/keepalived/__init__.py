"""From keepalived.conf to a configuration of this program."""
