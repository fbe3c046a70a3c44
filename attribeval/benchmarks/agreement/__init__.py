"""Does a cheap benchmark predict what retraining, or a known answer, says of methods?"""
