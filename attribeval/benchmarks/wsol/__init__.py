"""Weakly supervised object localisation: do the maps find the object?

`evaluate.evaluate` scores any maps, `procedure.run_wsol` those of a model. A family of scores is a file: `maxboxacc`,
`boxes` (with `component_tree` and `contours` under them), `heuristics`, `colour_model`, `saliency_metric`, `pixels`,
`pointing`, `energy`; `reference` has the reference code's conventions. `measure` keeps a few numbers per image,
`metrics` and `summary` make the table of them.
"""
