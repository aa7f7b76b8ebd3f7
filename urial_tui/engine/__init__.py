"""Running a language model: a worker process, the words it speaks, and its KV cache."""
