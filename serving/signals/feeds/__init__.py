"""What gives the readings of the table: a rollout's watch, and commands that run by the clock."""
