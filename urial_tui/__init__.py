"""urial-tui: chat with base language models, and see what alignment tuning changes."""

__version__ = "0.1.0"
