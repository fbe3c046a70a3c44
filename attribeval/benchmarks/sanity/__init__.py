"""Sanity checks: do maps depend on what the model has learned, and on the labels that it learned from?"""
