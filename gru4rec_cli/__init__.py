"""A reproduction and audit of GRU4Rec for session-based recommendation."""

__version__ = "0.1.0"
