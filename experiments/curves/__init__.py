"""Curves over several seeds and worlds: interquartile means, performance profiles, improvement."""
