"""The log doctor: is this log fit to be weighed?"""
