"""What is best in a world: oracles, planning, search and replay."""
