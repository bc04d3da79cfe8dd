"""Proves before it is needed that a failover would work, and changes nothing."""
