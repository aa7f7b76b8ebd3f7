"""How text, tokens and numbers are drawn; nothing in here knows a screen."""
