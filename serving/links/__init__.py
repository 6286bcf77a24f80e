"""Connections to the servers that keep sessions and events."""
