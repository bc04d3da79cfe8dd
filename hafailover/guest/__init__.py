"""The guest: addresses on its interfaces, and the operator's hooks."""
