"""Joinery: scripts that compare policies, evaluate logs and gate rollouts."""
