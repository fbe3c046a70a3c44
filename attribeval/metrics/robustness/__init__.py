"""Do maps stay what they are when next to nothing changes?"""
