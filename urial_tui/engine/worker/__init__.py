"""The worker process: models in memory, and the answers that are written with them."""
