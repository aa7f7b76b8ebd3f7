"""What both processes know: commands, events and how they travel."""
