"""The daemon: the runner of the core, and everything it is wired to."""
