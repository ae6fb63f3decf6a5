"""The flight recorder: what one canvas was asked and what became of it, in a file that replays to the same canvas."""
