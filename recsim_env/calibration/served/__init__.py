"""A world fitted to a log of served slates: choice, reward, responses, leaving, and its scores."""
