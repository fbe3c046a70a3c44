"""One training and one evaluation, on any strategy: recipe, loop, augmentation, builder."""
