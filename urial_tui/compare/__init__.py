"""Comparing two sides: what alignment tuning, a preamble or a quantisation really changes."""
