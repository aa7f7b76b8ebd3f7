"""Benchmarks of the engine beside other ways to run the same model; not part of the program."""
