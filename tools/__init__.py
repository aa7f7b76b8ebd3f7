"""What a checkout needs around the program: `tools.setup` makes its environment."""
