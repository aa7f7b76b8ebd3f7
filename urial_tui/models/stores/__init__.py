"""Where other programs keep model files: a module for each, which knows its layout alone.

Nothing is written, moved or opened but small lists (refs, manifests, pointers); what the files
hold is looked at by `models/discovery.py`. All of it is foreign: names, links and lists may lead
anywhere, so what is read and how far is bounded.
"""
