"""Commands about the road from a log to a better policy, and how far it leads."""
