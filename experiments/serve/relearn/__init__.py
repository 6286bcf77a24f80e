"""Learning again from the log of what serves, and where versions come from."""
