"""The HTTP server: raw ASGI, one queue, limits, and a description of its routes."""
