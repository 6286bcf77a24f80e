"""Simulated users: who comes when, what they are shown, what they report, and to whom."""
