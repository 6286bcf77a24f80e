"""Settings from a file, `--set`, a run folder and the command line: each over the one before it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from experiments.__main__ import main
from experiments.common.run_folder import open_run, recorded
from experiments.options.changes import changed, value_of
from experiments.options.reading import read


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Do something."""

    policy: str
    """What it is done with."""
    policy_set: tuple[str, ...] = ("gamma=0.5",)
    users: int = 8
    rate: float = 1e-3
    worlds: tuple[str, ...] = ("a",)
    strict: bool = False
    kind: Literal["x", "y"] = "x"
    prior: Path | None = None
    out: Path = Path("results")
    resume: Path | None = None
    workers: int = 1


def given(*args: str) -> Settings:
    found = read("do", Settings, [*args])
    assert isinstance(found, Settings)
    return found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(
        "policy: ppo\npolicy-set: {gamma: 0.9, hidden: 64}\nusers: 3\nrate: 1e-4\n"
        "worlds: [b, c]\nstrict: yes\nprior: some/where\n"
    )
    return path


def test_a_file_gives_defaults_and_the_command_line_is_over_it(file: Path) -> None:
    assert given("--settings", str(file)) == Settings(
        policy="ppo", policy_set=("gamma=0.9", "hidden=64"), users=3, rate=1e-4, worlds=("b", "c"),
        strict=True, prior=Path("some/where"),
    )  # fmt: skip
    over = given(f"--settings={file}", "--set", "users=4", "rate=0.5", "--users", "5")
    assert (over.users, over.rate, over.policy) == (5, 0.5, "ppo")


def test_set_reaches_what_an_option_names(file: Path) -> None:
    """hidden stays, gamma is replaced, a list is written with commas, None as the command line
    writes it."""
    changes = ["--set", "policy.gamma=0.7", "worlds=d,e", "prior=None", "strict=false"]
    found = given("--settings", str(file), *changes)
    assert found.policy_set == ("hidden=64", "gamma=0.7")
    assert (found.worlds, found.prior, found.strict) == (("d", "e"), None, False)


def test_where_a_command_is_about_one_policy_other_keys_are_its_settings() -> None:
    @dataclass(frozen=True)
    class Train:
        policy: str = "ppo"
        set: tuple[str, ...] = ()
        env_set: tuple[str, ...] = ()
        seed: int = 0

    changes = ["gamma=0.9", "policy.hidden=64,64", "env.slate_size=3", "seed=4", "set.gamma=0.8"]
    assert changed(Train, {}, changes) == {
        "set": ["hidden=64,64", "gamma=0.8"], "env_set": ["slate_size=3"], "seed": 4,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("1,2", [1, 2]), ("[1]", [1]), ("none", None), ("x: [", "x: ["), ("true", True)],
)
def test_values_are_read_as_yaml(text: str, value: object) -> None:
    assert value_of(text) == value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("policy: ppo\nuserss: 3", "no setting 'userss' .did you mean 'users'"),
        ("policy: ppo\nusers: many", "users is 'many'; it takes int"),
        ("policy: ppo\nusers: 2.5", "users is 2.5; it takes int"),
        ("policy: ppo\nusers: [1, 2]", "users is .1, 2.; it takes int"),
        ("policy: ppo\nusers: true", "users is True; it takes int"),
        ("policy: no", "policy is False; it takes str"),
        ("policy:", "policy is None; it takes str"),
        ("policy: ppo\nkind: z", "kind is 'z'"),
        ("policy: ppo\nrate: .nan", "rate is nan"),
        ("policy: ppo\nusers: 1\nUSERS: 2", "no setting 'USERS'"),
        ("policy: ppo\npolicy-set: [a=1]\npolicy_set: [b=2]", "'policy_set' is there twice"),
        ("- policy", "holds no settings: write `key: value`"),
        ("policy: [", "is not YAML"),
    ],
)
def test_a_wrong_file_names_the_key_and_what_it_takes(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=says) as error:
        given("--settings", str(file))
    assert str(file) in str(error.value)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--set", "user=3"], "no setting 'user' .did you mean 'users'..; there are policy, users"),
        (["--set", "world.x=3"], "no setting 'world.x'.*and policy.KEY"),
        (["--set"], "write key=value"),
        (["--set", "=3"], "write key=value"),
        (["--settings"], "--settings needs a path"),
        (["--settings", "/nowhere.yaml"], "no file of settings /nowhere.yaml"),
    ],
)
def test_a_wrong_option_says_so(args: list[str], says: str) -> None:
    with pytest.raises((ValueError, OSError), match=says):
        given("--policy", "ppo", *args)


def test_a_run_folder_alone_is_gone_on_with(tmp_path: Path) -> None:
    """Its own settings come back; how a run is done may be chosen anew, what it finds may not."""
    asked = Settings(policy="ppo", users=3, worlds=(), prior=Path("p"), out=tmp_path, workers=4)
    folder = open_run(tmp_path, "do", asked, None)
    again = given("--resume", str(folder.path), "--workers", "2")
    assert again.__dict__ == asked.__dict__ | {"resume": folder.path, "workers": 2}
    assert open_run(tmp_path, "do", again, folder.path) == folder
    other = given("--resume", str(folder.path), "--users", "9")
    with pytest.raises(ValueError, match="users: 3, now 9"):
        open_run(tmp_path, "do", other, folder.path)
    with pytest.raises(ValueError, match=r"made by `longplay do`, not by `longplay undo`"):
        read("undo", Settings, ["--resume", str(folder.path)])
    with pytest.raises(FileNotFoundError, match="no run folder"):
        given("--resume", str(tmp_path))


def test_the_settings_of_a_run_are_fed_to_a_new_one(tmp_path: Path) -> None:
    """Not where it wrote and with how many workers: that is of this machine."""
    asked = Settings(policy="ppo", users=3, out=tmp_path, workers=4)
    folder = open_run(tmp_path, "do", asked, None).path
    for source in (folder, folder / "settings.json"):
        new = given("--settings", str(source), "--users", "5")
        assert (new.policy, new.users, new.out, new.workers) == ("ppo", 5, Path("results"), 1)


def test_a_setting_that_is_newer_than_the_folder_had_its_default(tmp_path: Path) -> None:
    folder = open_run(tmp_path, "do", Settings(policy="ppo"), None)
    record = recorded(folder.path)
    del record["settings"]["rate"]
    (folder.path / "settings.json").write_text(json.dumps(record))
    assert open_run(tmp_path, "do", given("--resume", str(folder.path)), folder.path) == folder
    with pytest.raises(ValueError, match=r"rate: 0.001, now 0.5"):
        open_run(tmp_path, "do", Settings(policy="ppo", rate=0.5), folder.path)


def test_a_command_with_several_words_takes_settings_after_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "list.yaml"
    file.write_text("registri: here\n")
    assert main(["release", "list", "--settings", str(file)]) == 2
    assert "no setting 'registri' (did you mean 'registry'?)" in capsys.readouterr().err
    assert main(["release", "--settings", str(file)]) == 2
    assert "after the name of what longplay release does" in capsys.readouterr().err


def test_help_tells_of_files_and_of_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "--settings FILE" in said
    assert "--set KEY=VALUE" in said


@pytest.mark.parametrize(
    ("words", "meant"), [(["studdy"], "study"), (["benchmark", "planers"], "benchmark planners")]
)
def test_a_command_that_is_not_there_names_the_nearest(
    words: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert f"did you mean {meant!r}?" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"longplay {version('longplay')}\n"
