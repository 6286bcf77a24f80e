"""Policies every table needs: uniform, popular, top rated, encoder and reward rankings."""
