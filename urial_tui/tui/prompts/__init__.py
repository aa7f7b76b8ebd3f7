"""The screens about preambles."""
