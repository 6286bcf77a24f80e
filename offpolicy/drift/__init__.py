"""Has traffic changed since a reference log: inputs, propensities, outcomes, and what to do."""
