"""Distributions over ordered slates: exact draws and exact probabilities."""
