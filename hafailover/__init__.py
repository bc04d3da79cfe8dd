"""hafailover: failover for Tencent Cloud CVMs, by moving a private address through the cloud's API."""

__version__ = "0.1.0"
