"""The gate: three verdicts and a reason."""

from offpolicy.gate.verdict import GateRule, Guardrail, Outcome, Verdict, decide

__all__ = ["GateRule", "Guardrail", "Outcome", "Verdict", "decide"]
