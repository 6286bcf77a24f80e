"""`longplay benchmark estimators`: how far each estimator errs in worlds of known value."""
