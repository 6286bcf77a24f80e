"""What is generated from the table of signals: rules, their tests, dashboards, runbook, alarms."""
