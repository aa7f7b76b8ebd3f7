"""What a model is shown: preambles, which turn a base model into an assistant, and other contexts.

A preamble file declares its own format (headings, fences, stop rules); everything that
builds a prompt or ends an answer takes it from there and knows no heading of its own.
"""
