"""Model files: the catalogue, where they are, what they hold and whether they fit."""
