"""Remove or keep, and retrain: which estimator finds what the model needs? (Hooker et al. 2019)"""
