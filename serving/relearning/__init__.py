"""Learning again: when it is due, from which cut of the log, and who may follow what serves."""
