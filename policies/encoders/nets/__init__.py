"""Network layers that several encoders share."""
