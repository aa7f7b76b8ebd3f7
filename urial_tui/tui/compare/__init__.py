"""The compare screen: two sides on one answer."""
