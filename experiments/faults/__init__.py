"""Faults of a service, injected in simulated days of it: what sees them, and what follows."""
