"""The command line: one module a command, nothing but parsing and printing."""
