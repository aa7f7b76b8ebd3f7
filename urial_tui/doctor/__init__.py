"""What this machine and this installation are, what is wrong with them, and what to do.

A topic is a function that yields findings; one that fails is a finding itself. Nothing here is
printed, nothing asks the network, and nothing of the environment is told but what is named.
"""
