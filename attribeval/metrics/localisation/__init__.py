"""Scores against boxes and masks, one number per image: what `wsol` computes, for the leaderboard."""
