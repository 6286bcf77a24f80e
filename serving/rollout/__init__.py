"""A rollout: shadow, canary, promotion or the way back, by what the event log says."""
