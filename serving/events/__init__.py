"""Where events are kept: decisions and outcomes, each one once and in order."""
