"""Network layers that several agents share."""
