"""The token screen: an answer, token by token."""
