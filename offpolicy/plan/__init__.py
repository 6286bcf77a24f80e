"""What to do after "cannot tell", in numbers: a step, a better log, a bounded trial."""
