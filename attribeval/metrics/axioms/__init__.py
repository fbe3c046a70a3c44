"""Axioms: properties that a method's maps should have whatever the model is."""
