"""The screens of an evaluation."""
