"""What is left on disk when a writer is killed before its first, second, ... change of a name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DRIVER = """
import os, pathlib, shutil, sys
from offpolicy.storage import claims
exec(sys.argv[2])
def killing(module, name, left):
    plain = getattr(module, name)
    def step(*a, **k):
        if not left[0]:
            os._exit(9)
        left[0] -= 1
        return plain(*a, **k)
    setattr(module, name, step)
base = pathlib.Path(sys.argv[1])
shutil.copytree(base / "before", base / "warm")
act(base / "warm" / "it")  # imports what it needs, once
shutil.rmtree(base / "warm")
for nth in range(60):
    where = base / str(nth)
    shutil.copytree(base / "before", where)
    child = os.fork()
    if not child:
        left = [nth]
        for name in ("rename", "replace", "mkdir", "rmdir", "unlink"):
            killing(os, name, left)
        killing(claims, "exchange", left)
        act(where / "it")
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
else:
    raise AssertionError("it never got through")
"""


def killed_at_every_step(base: Path, act: str) -> list[Path]:
    """`act` is code of a function act(path). It is run on copies of `base`/before and killed at
    another step in each; the paths, of which the last one was left to end."""
    subprocess.run([sys.executable, "-c", DRIVER, str(base), act], check=True)
    copies = [folder for folder in base.iterdir() if folder.name != "before"]
    return [folder / "it" for folder in sorted(copies, key=lambda folder: int(folder.name))]
