"""Side by side: one question, two answers, and a vote."""
