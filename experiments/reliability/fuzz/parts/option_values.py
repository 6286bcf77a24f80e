"""Values that options of commands get: small ones, those that must be given, and odd words."""

from __future__ import annotations

# fmt: off
# fields of settings that decide how long a run takes
SMALL = {
    "sessions": "20", "users": "8", "rounds": "1", "seeds": "1", "steps": "64",
    "replicates": "2", "max_steps": "3", "warm_sessions": "20", "train_sessions": "20",
    "log_sessions": "30", "truth_sessions": "10", "curve_sessions": "5", "test_sessions": "10",
    "env_steps": "64", "one_step_sessions": "20", "workers": "1", "threads": "1",
    "repeats": "1", "seconds": "0.02", "simulated": "10", "dims": "3", "redraws": "2",
    "rows": "200", "logs": "1", "clean_logs": "1", "runs": "1", "plans": "1", "pool": "50",
    "rollouts": "2", "clean_days": "1", "scale": "0.001", "decisions": "200", "products": "10",
    "epochs": "1", "hidden": "4", "events": "200", "dim": "4", "batch": "16", "size": "4",
    "arms": "5", "searched": "2", "depth": "2", "kills": "1", "rps": "5",
    "plain_seconds": "0.1", "overload_seconds": "0.1", "probe_seconds": "0.1",
    "items": "items.txt", "choices": "0", "lengths": "5", "choice_seeds": "0",
    "worlds": "Boredom", "days": "1", "new_sessions": "10", "after_drift": "10",
    "shadow_decisions": "5", "learners": "4", "port": "0", "out": "out", "folder": "out",
    "contexts": "100", "models": "markov", "policies": "uniform", "read_back": "0.1",
    "poll": "0.1", "connections": "4", "calls": "5", "permutations": "9",
}
# fields that must be given, or that lead somewhere
GIVEN = {
    "log": "log", "events": "events", "recent": "log", "reference": "log", "source": "log",
    "destination": "out", "data": "plays.csv", "policy": "popularity", "target": "target.npy",
    "horizon": "one_step", "serving": "uniform", "registry": "registry", "user": "ann",
    "older_than": "30d", "secret_file": "secret", "table": "digits",
    "target_scores": "target.npy", "metrics": "metrics.prom", "json": "told.json",
    "runbook": "RUNBOOK.md", "url": "http://127.0.0.1:9", "prior": "policy",
    "item_features": "features.npy", "topics": "topics.npy", "version": "live",
    "reward": "liked=1", "cases": "import", "decision": "r", "history": "1",
    "data_root": "folder", "token_file": "secret", "catalogue": "items.txt",
    "gate": "garbage.json", "state": "item", "encoder": "markov", "model": "markov",
    "time": "time", "resume": "folder", "learner": "popularity",
}
# options that stay as they are: they open ports, start processes or never end
LEFT = frozenset({
    "host", "workers", "threads", "http", "seconds", "port", "here", "cases", "table",
})
# commands whose smallest run takes longer than a call may: they are given a wrong option always
LONG = frozenset({
    "published", "benchmark serving", "benchmark planning", "benchmark training",
    "benchmark drift", "benchmark env", "benchmark agents", "benchmark offpolicy",
    "benchmark fuzz", "benchmark estimators", "benchmark referee",
})
# what any option may be given
WORDS: tuple[str, ...] = (
    "nan", "inf", "-1", "0", "1e400", "abc", "", " ", "é\U0001f600", "9" * 30, "0.5", "None",
    "True", "2", "x=1", "=", "a=b=c", "x=nan", "x=1e999", "x=[", "1,2", "0 0", "-", "--", "1d",
    "-1d", "nand", "end", "@row", "recsim_env/Boredom-v0", "recsim_env/No-v0", "uniform",
    "markov", "{}", "a" * 5000,
)
# fmt: on
