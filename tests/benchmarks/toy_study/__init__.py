"""A study for the tests: how much of a map lies in the middle of the image."""
