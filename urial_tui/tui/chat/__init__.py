"""The chat: the screen of one conversation, and its parts."""
