"""The five studies: each asks which methods to trust, with a procedure of its own, and answers with one table."""
