"""Formats that other projects write, each read by one function; `registry` names them."""
