"""Reinforcement learning over encoder states, one page each."""
