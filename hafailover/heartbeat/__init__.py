"""Heartbeats: adverts as bytes, their authentication and sessions (all pure), and the paths."""
