"""What a model knows of human concepts: sets of example images in, one number per concept and class out."""
