"""What happens along the sessions of a log: who stays, what is paid, what is shown, to whom."""
