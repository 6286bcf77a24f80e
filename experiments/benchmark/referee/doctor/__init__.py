"""Clean logs and logs with one fault, laid before the log doctor."""
