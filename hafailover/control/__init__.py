"""The local control socket: protocol (pure), server, client."""
