"""--config FILE.yaml: values for flags that were not typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cyclopts import App
from cyclopts.argument import ArgumentCollection
from cyclopts.config import Dict

from gannotate.errors import UsageError, nearest
from gannotate.parsing import Malformed, load_yaml


def fill_from_config_file(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Gives flags without a value on the command line their value of the --config file.

    Raises:
        UsageError: the file is missing or not a YAML mapping, or has a key that is no flag of this command.
    """
    given = [argument.tokens for argument in arguments if "--config" in argument.names]
    if not given or not given[0]:
        return
    path = given[0][0].value
    values = read_flags(path)
    known = [name for argument in arguments for name in flag_names(argument.names)]
    for key in values:
        if key.replace("_", "-") not in known:
            raise UsageError(
                f"{path}: {key!r} is no flag of `gannotate {' '.join(commands)}`"
                f"; known are {', '.join(sorted(known))}{nearest(key.replace('_', '-'), known)}"
            )
    flags = {key.replace("_", "-"): value for key, value in values.items()}
    Dict(flags, source=path, use_commands_as_keys=False)(app, commands, arguments)


def read_flags(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        UsageError: no such file, or no mapping in it.
    """
    try:
        values = load_yaml(Path(path).read_bytes())
    except OSError as error:
        raise UsageError(f"the --config file {path} cannot be read ({error.strerror or error})") from error
    except Malformed as error:
        raise UsageError(f"the --config file {path} is not YAML ({error})") from error
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise UsageError(f"the --config file {path} holds no `flag: value` lines; write e.g. `steps: 500`")
    return values


def flag_names(names: tuple[str, ...]) -> list[str]:
    """Keys that a YAML file may use for a flag: its long names without the dashes, `config` left out."""
    long = [name[2:] for name in names if name.startswith("--")]
    return [name for name in long if name != "config" and not name.startswith("no-")]
