"""The parts of the chat screen, named after what is on the screen."""
