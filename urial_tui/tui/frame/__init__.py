"""What is around every screen: keys, themes, the command palette, settings, the terminal."""
