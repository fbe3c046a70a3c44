"""Weakly supervised object localisation: do the maps find the object?"""
