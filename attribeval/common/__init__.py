"""What methods and metrics share, and that knows neither: checks of options, seeds, fills, the grammar of names."""
