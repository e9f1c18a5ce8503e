"""The commands of `gahb`, one module each: a frozen dataclass is the configuration, the options and the help of a command.

Nothing heavy is imported before a command runs, so that `--help` answers at once. A command is added by its module and a
line in `COMMANDS` of `gahb_theory.commands.table`.
"""

__all__: list[str] = []
