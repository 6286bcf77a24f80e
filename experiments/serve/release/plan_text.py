"""What a person reads before a rollout begins."""

from __future__ import annotations

from experiments.common.tables import text_table
from experiments.serve.release.plan import Plan, StagePlan, Traffic
from serving.rollout.rule import RolloutRule


def plan_lines(rule: RolloutRule, traffic: Traffic | None, plan: Plan | None) -> list[str]:
    """The stages, with their length at the present traffic, and the largest loss."""
    shadow = f"shadow: {rule.shadow_decisions:,} decisions are compared, and shown to nobody"
    first = [shadow] if rule.shadow_decisions else []
    if traffic is None or plan is None:
        stages = ", ".join(f"{share:g}" for share in rule.stages)
        return [
            *first,
            f"stages: {stages} of users. The log holds too little traffic to say how long they "
            "take: 20 users at least, whose rewards differ",
        ]
    mean = traffic.past.mean
    return [
        *first,
        text_table([_row(one) for one in plan.stages]),
        f"at {traffic.users:,.0f} users and {traffic.sessions:,.0f} sessions a day, reward "
        f"{mean.value:.4g} [{mean.low:.4g}, {mean.high:.4g}] a {traffic.past.per}, for a canary "
        "that is as good; one in two takes longer",
        _total(plan),
        _worst(rule, traffic, plan),
    ]


def _row(one: StagePlan) -> dict[str, str]:
    days = "?" if one.days is None else f"{one.days:.3g}"
    users = one.users if one.days is None else one.users * one.days
    return {
        "users": f"{one.share:.3g}",
        "days": days,
        "users with it": f"{users:,.0f}" + (" a day" if one.days is None else ""),
        "what takes the time": one.why,
    }


def _total(plan: Plan) -> str:
    days = [one.days for one in plan.stages]
    if None in days:
        return (
            "at this traffic it need not end: allow a wider --margin, a longer --recent or --most, "
            "fewer --least-users, or wait for more users"
        )
    return f"in all: {sum(one for one in days if one is not None):.3g} days"


def _worst(rule: RolloutRule, traffic: Traffic, plan: Plan) -> str:
    worst = plan.worst
    if worst is None:
        return (
            f"a canary that loses twice the margin of {rule.margin:.1%}, or more, is not told from "
            "a good one in the time that stages take at most: a person is then asked"
        )
    return (
        f"largest loss of those that lose twice the margin or more: a canary {worst.worse:.0%} "
        "worse costs what "
        f"{worst.sessions:,.0f} sessions earn ({worst.sessions / traffic.sessions:.2g} days' worth "
        f"of all), and is stopped after {worst.days:.3g} days, at {worst.stage:.3g} of users"
    )
