"""From a log and a target's scores to Terms: one function for each estimand."""
