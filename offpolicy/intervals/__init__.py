"""From estimates to intervals: inference written once, for all estimators."""
