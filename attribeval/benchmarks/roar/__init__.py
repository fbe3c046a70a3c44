"""ROAR and KAR: remove or keep what a method calls important, retrain, and see what the model still knows."""
