"""Names of saved classes in folders of format 1 (version 0.1): module paths, before files moved."""

from __future__ import annotations

CLASSES: dict[str, str] = {
    "policies.scored.Scored": "score_policy/ScorePolicy",
    "policies.constraints.Constrained": "constrained/Constrained",
    "policies.rerank.Reranked": "reranked/Reranked",
    "policies.rl.agent.SB3Agent": "sb3_agent/SB3Agent",
    "policies.simple.Uniform": "uniform/Uniform",
    "policies.simple.Popularity": "popularity/Popularity",
    "policies.simple.TopRated": "top_rated/TopRated",
    "policies.simple.EncoderRanking": "greedy_encoder/EncoderRanking",
    "policies.reward_model.RewardModel": "greedy_reward/RewardModel",
    "policies.bandits.linucb.LinUCB": "linucb/LinUCB",
    "policies.bandits.epsilon_greedy.MeanReward": "epsilon_greedy/MeanReward",
    "policies.bandits.ucb1.UCB1": "ucb1/UCB1",
    "policies.bandits.cascade.CascadeLinUCB": "cascade_linucb/CascadeLinUCB",
    "policies.bandits.lints.LinTS": "lints/LinTS",
    "policies.bandits.neural_linear.NeuralLinear": "neural_linear/NeuralLinear",
    "policies.rl.offline.OfflineLearner": "bc/OfflineLearner",
    "policies.rl.decision.DecisionTransformer": "decision_transformer/DecisionTransformer",
    "policies.rl.slateq.SlateQ": "slateq/SlateQ",
}


def path(kind: type) -> str:
    """What format 1 called a class."""
    return f"{kind.__module__}.{kind.__qualname__}"
