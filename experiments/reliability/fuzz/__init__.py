"""Fuzzed calls of every registry and command: each must answer or refuse, and never crash."""
