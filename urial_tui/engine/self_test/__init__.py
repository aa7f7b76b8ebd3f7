"""Whether the engine of this environment computes what it should on this CPU.

`python -m urial_tui.engine.self_test` runs tiny models of each type of matrix through
llama.cpp and through numpy. It ends with 0, with `WRONG` and the reason on its last line, or,
where the build is not made for this CPU, by a signal: so it is always a process of its own.
Any other exit code says that the test could not be run.
"""

WRONG = 3
"""The exit code where something comes out wrong."""
