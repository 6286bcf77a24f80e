"""What one seed makes, from a log to a verdict; run as a program it writes the hashes."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import gymnasium
import numpy as np

import recsim_env  # noqa: F401
from experiments.__main__ import main, patient_stdout
from offpolicy import write_log
from policies import build, collect

POLICY = (
    "--policy linucb --rounds 1 --steps 64 --users 16 --sessions 10 --test-sessions 10 "
    "--no-tensorboard"
)
ENCODER = "--model gru4rec --set dim=4 length=6 epochs=1 batch_tokens=300 negatives=8"


def world() -> gymnasium.vector.VectorEnv:
    return gymnasium.make_vec("recsim_env/Longplay-v0", num_envs=8, max_steps=4, threads=2)


def hashes(folder: Path) -> dict[str, str]:
    """sha256 of each thing that was made, in a folder of any name."""
    env = world()
    log = collect(env, build("top_rated", env, temperature=5.0), n_sessions=40, seed=3)
    env.close()
    write_log(log, folder / "log")
    np.save(folder / "target.npy", np.where(log.slate[:, 0] < 25, 0.03, 0.01))
    items = np.random.default_rng(0).integers(0, 20, (30, 8)).tolist()
    plays = [f"{u},café {item},{t}" for u, own in enumerate(items) for t, item in enumerate(own)]
    (folder / "plays.csv").write_text("\n".join(["user,item,timestamp", *plays]), "utf-8")

    def do(command: str, *paths: object) -> None:
        status = main([*command.split(), *map(str, paths)])
        assert status == 0, f"{command}: {status}"

    do(f"train-encoder {ENCODER}", "--data", folder / "plays.csv", "--out", folder / "encoder")
    do(f"train-policy {POLICY}", "--out", folder / "runs")
    do(
        "evaluate --horizon one_step", folder / "log", "--out", folder / "report",
        "--target-scores", folder / "target.npy",
    )  # fmt: skip
    files = [*folder.glob("log/*"), *folder.rglob("weights.safetensors")]
    files += [folder / "report/report.json"]
    made = {_place(file, folder): file.read_bytes() for file in files if file.is_file()}
    return {name: hashlib.sha256(content).hexdigest() for name, content in made.items()}


def _place(file: Path, folder: Path) -> str:
    """Its path without the names of runs, which hold the time."""
    return "/".join(p for p in file.relative_to(folder).parts if not p[:8].isdigit())


if __name__ == "__main__":
    patient_stdout()
    told = hashes(Path(sys.argv[1]))
    (Path(sys.argv[1]) / "hashes.json").write_text(json.dumps(told))
