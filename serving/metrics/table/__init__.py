"""The rows of the table of signals, by what they tell of."""
