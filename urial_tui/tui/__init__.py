"""The terminal application. Only here is `textual` imported."""
