"""The screen of the stored conversations."""
