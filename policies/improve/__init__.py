"""Planning from a log: policies that improve on what served, without a simulator."""
