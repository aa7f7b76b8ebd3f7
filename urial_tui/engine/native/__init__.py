"""The only room that sees llama.cpp."""
