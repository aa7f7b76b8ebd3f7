"""The user's process: it starts workers, asks them, and hears of their end."""
