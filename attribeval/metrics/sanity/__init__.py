"""Sanity checks, one number per image: how alike are maps of the model and of one that has learned nothing?"""
