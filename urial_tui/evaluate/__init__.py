"""Evaluation without a cloud: answers to many items, what is measured of them, judges, reports."""
