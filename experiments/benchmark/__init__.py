"""`longplay benchmark ...`: speed, memory and what agents reach."""
