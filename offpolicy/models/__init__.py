"""Reward models and fitted Q: what a model says of logged and of target slates."""
