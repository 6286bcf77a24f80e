"""What folders of format 1 (version 0.1) call classes, settings and arrays, and today's names."""

from __future__ import annotations

from typing import Any

from policies.saved import Arrays

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


SETTINGS: dict[str, dict[str, str | None]] = {  # of a class or algorithm; None: it has none now
    "reranked/Reranked": {"tastes": "objectives"},
    "sb3_agent/SB3Agent": {"tracker": "end_to_end", "tune": "fine_tune"},
    "sac": {"noise": None},
    "slateq/SlateQ": {"average": "tau"},
    "bc/OfflineLearner": {"average": "tau"},
    "clone": {"gamma": None, "strength": None, "cap": None},
    "reinforce": {"strength": "entropy"},
    "reinforce_top_k": {"strength": "entropy"},
    "cql": {"cap": None},
}
ADDED: dict[str, dict[str, Any]] = {  # by algorithm
    "clone": {"method": "bc"},
    "reinforce_top_k": {"correction": "top_k"},
    "sa2c": {"advantage": True},
}
ARRAYS: dict[str, dict[str, str]] = {  # parts of names, by class
    "sb3_agent/SB3Agent": {"relevance": "encoder_scores", "extractor.tracker.": "extractor.gru."},
    "slateq/SlateQ": {
        "learner.average.": "networks.target.",
        "learner.adam.": "networks.optimizer.",
        "learner.": "networks.",
    },
    "greedy_reward/RewardModel": {"luck": "random_state"},
    "bc/OfflineLearner": {"slow.": "target.", "luck": "random_state"},
    "decision_transformer/DecisionTransformer": {"luck": "random_state"},
}


def current(kind: str, config: dict[str, Any], arrays: Arrays) -> tuple[dict[str, Any], Arrays]:
    """Settings and arrays of a class (by today's name) under today's names."""
    algorithm = config.get("method", config.get("name", ""))
    renamed = SETTINGS.get(kind, {}) | SETTINGS.get(algorithm, {})
    named = {renamed.get(name, name): value for name, value in config.items()}
    settings = {name: value for name, value in named.items() if name is not None}
    parts = ARRAYS.get(kind, {})
    return settings | ADDED.get(algorithm, {}), {_renamed(k, parts): v for k, v in arrays.items()}


def _renamed(name: str, parts: dict[str, str]) -> str:
    for old, new in parts.items():
        name = name.replace(old, new)
    return name


def path(kind: type) -> str:
    """What format 1 called a class."""
    return f"{kind.__module__}.{kind.__qualname__}"
