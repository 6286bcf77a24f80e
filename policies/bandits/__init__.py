"""Contextual bandits over encoder states, one page each."""
