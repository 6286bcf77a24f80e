"""Stock Stable-Baselines3: its own PPO on four users side by side, saved, loaded and served."""

from pathlib import Path
from tempfile import mkdtemp

from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

import recsim_env  # noqa: F401  (registers the environments)

vec_env = make_vec_env("recsim_env/Longplay-v0", n_envs=4)
model = PPO("MultiInputPolicy", vec_env, n_steps=64, verbose=0)
model.learn(total_timesteps=512)
file = Path(mkdtemp()) / "ppo_longplay"
model.save(file)
model = PPO.load(file)
obs = vec_env.reset()
for _ in range(20):
    action, _ = model.predict(obs)
    obs, rewards, dones, infos = vec_env.step(action)
print("decisions whose slate was fixed:", sum(info["invalid"] for info in infos), "of", len(infos))
