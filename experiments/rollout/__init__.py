"""Rollouts played thousands of times over a traffic of users whose truth is known."""
