"""The `longplay` command: reads the words, imports one subcommand and runs it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from experiments.commands import COMMANDS
from experiments.common.imports import import_own, taken, trust_taken
from experiments.common.pipes import patient_stdout

USER_ERRORS = (ValueError, OSError, ImportError)


def usage() -> str:
    """The list of subcommands."""
    width = max(map(len, COMMANDS))
    rows = "\n".join(f"  {name:<{width}}  {c.purpose}" for name, c in COMMANDS.items())
    head, foot = "usage: longplay COMMAND [OPTIONS]", "longplay COMMAND --help lists its options."
    own = "--import MODULE, in every command: Python of your own, whose policies then have names."
    trust = (
        "--trust, in every command: saved policies may hold pickled code, which runs when it is "
        "read (scikit-learn, Stable-Baselines3); by default none does."
    )
    return f"{head}\n\n{rows}\n\n{foot}\n{own}\n{trust}"


def split(args: list[str]) -> tuple[str | None, list[str]]:
    """The subcommand's name (one or two words, the longest that is known) and what follows it."""
    for words in (2, 1):
        name = " ".join(args[:words])
        if len(args) >= words and name in COMMANDS:
            return name, args[words:]
    return None, args


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand; bad input is one paragraph on stderr and status 2."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when numpy is imported, which is later
    if argv is None:
        patient_stdout()
    with trust_taken(sys.argv[1:] if argv is None else argv) as args:
        return _run(args)


def _run(args: list[str]) -> int:
    """The command of a line whose `--trust` is taken out."""
    try:
        args, own = taken(args)
        import_own(own)
    except USER_ERRORS as error:
        print(f"longplay: {error}", file=sys.stderr)
        return 2
    name, rest = split(args)
    if name is None:
        return _without_command(args)
    try:
        module = import_module(COMMANDS[name].module)
        try:
            read = import_module("experiments.options.reading").read
            settings = read(name, module.Settings, rest)
        except SystemExit as stop:  # --help, or options that it has explained on stderr
            return stop.code if isinstance(stop.code, int) else 2
        if (executor := getattr(settings, "executor", None)) is not None:
            import_module("offpolicy.executors.running").parse(executor)
        with _told_of_terminations():
            status = int(module.run(settings))
        _ended("done")
        if name.startswith("benchmark") and status == 0:
            print(import_module("experiments.benchmark.machine_reference").measure(), flush=True)
        return status
    except USER_ERRORS as error:
        _ended("failed", str(error))
        if os.environ.get("LONGPLAY_TRACEBACK"):
            raise
        print(f"longplay {name}: {error}{_locale(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print(f"longplay {name}: {_stopped()}", file=sys.stderr)
        _ended("stopped")
        return 143 if isinstance(stop, TerminatedError) else 130
    except Exception as error:
        _ended("failed", f"{type(error).__name__}: {error}")
        raise


def _without_command(args: list[str]) -> int:
    """--help, --version, or words that name no command."""
    if args and args[0] == "--version":
        print(f"longplay {import_module('importlib.metadata').version('longplay')}")
        return 0
    help_wanted = bool(args) and args[0] in {"-h", "--help"}
    print(usage(), file=sys.stdout if help_wanted else sys.stderr)
    if help_wanted:
        return 0
    if args:
        did_you_mean = import_module("experiments.options.close").did_you_mean
        words = args[0] if args[0] != "benchmark" else " ".join(args[:2])
        near = did_you_mean(words, COMMANDS)
        print(f"\nlongplay: there is no command {words!r}{near}", file=sys.stderr)
    return 2


class TerminatedError(KeyboardInterrupt):
    """SIGTERM came: as with Ctrl-C, worker processes end and the user is told."""


@contextmanager
def _told_of_terminations() -> Iterator[None]:
    """SIGTERM raises inside; servers set handlers of their own. What a broken-off import raises in
    its place is not told: that it was stopped is."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    stops = list[KeyboardInterrupt]()

    def stop(number: int, frame: object) -> None:
        stops.append(TerminatedError() if number == signal.SIGTERM else KeyboardInterrupt())
        raise stops[-1]

    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, stop)}
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        before[signal.SIGINT] = signal.signal(signal.SIGINT, stop)
    try:
        yield
    except Exception as error:
        if stops:
            raise stops[-1] from error
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stopped() -> str:
    """What to say of a run that was stopped."""
    from experiments.common.run_folder import begun  # it is loaded where there was a run

    folder = begun()
    return "stopped" if folder is None else f"stopped; go on with --resume {folder}"


def _locale(error: Exception) -> str:
    """What to set where a path has letters that the locale cannot say."""
    system = sys.getfilesystemencoding()
    if not isinstance(error, UnicodeError) or system.replace("-", "").lower() == "utf8":
        return ""
    return (
        f". This locale has names of files in {system}, and that one has other letters: set "
        "PYTHONUTF8=1, or LC_ALL=C.UTF-8"
    )


def _ended(state: str, error: str | None = None) -> None:
    """Write how the run ended into its folder, where it has one."""
    from experiments.common.run_folder import ended

    ended(state, error)


if __name__ == "__main__":
    raise SystemExit(main())
