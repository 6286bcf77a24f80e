"""Agents of Stable-Baselines3 as policies over slates."""
