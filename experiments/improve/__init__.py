"""From a log to a better policy, measured: planners, steps, plans and fitted worlds."""
