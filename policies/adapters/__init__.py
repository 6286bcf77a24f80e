"""Models of other libraries, plain functions and classes: policies with exact propensities."""
