"""Heartbeats: adverts as bytes (pure), their authentication and sessions (pure), and the paths that carry them."""
