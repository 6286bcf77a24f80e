"""The live side on the command line: serve, release, join, explain, forget."""
