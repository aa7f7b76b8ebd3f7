"""Models in memory, for every edge of the program."""
