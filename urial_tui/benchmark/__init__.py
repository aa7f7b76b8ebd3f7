"""What this machine does with a model, measured through the engine as it is used."""
