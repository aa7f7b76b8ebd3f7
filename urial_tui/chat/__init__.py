"""Conversations: the tree of turns, what drives an answer, and where both are kept."""
