"""On how few pixels does a map put its weight?"""
