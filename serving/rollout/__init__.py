"""A staged rollout as a pure function: what is seen of a canary, and what follows from it."""
