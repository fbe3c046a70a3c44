"""Weakly supervised object localisation: do the maps find the object?

`evaluate.evaluate` scores any maps, `procedure.run_wsol` those of a model. The scores themselves are in
`metrics.localisation`, a family a file; `reference` has the reference code's conventions. `measure` keeps a few numbers
per image, `metrics` and `summary` make the table of them.
"""
