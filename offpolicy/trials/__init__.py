"""A/B trials: units of two arms, anytime-valid differences, their size, exposure and segments."""
