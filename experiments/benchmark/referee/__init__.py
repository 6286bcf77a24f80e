"""`longplay benchmark referee`: the evaluator, measured as a hostile referee would."""
