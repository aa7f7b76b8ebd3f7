"""The widgets that several screens have."""
