"""Checks of the service."""
