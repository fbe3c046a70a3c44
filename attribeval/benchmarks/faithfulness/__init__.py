"""Faithfulness: does a map say what the model's score depends on?"""
