"""What completes commands, options and choices in each shell, as text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """names: all spellings. about: one line of help. choices: values, empty if any is valid."""

    names: tuple[str, ...]
    about: str
    takes_value: bool
    choices: tuple[str, ...]


@dataclass(frozen=True)
class Words:
    """What can follow a command: options, and choices of its first argument."""

    summary: str
    options: tuple[Option, ...]
    arguments: tuple[str, ...]


def bash(commands: dict[str, Words], program: str = "tramontane") -> str:
    """A function for `complete -F`; files are offered where nothing else is known."""
    cases = []
    for name, words in commands.items():
        values = [
            f"                {'|'.join(option.names)}) words='{' '.join(option.choices)}' ;;"
            for option in words.options
            if option.takes_value
        ]
        all_options = " ".join(each for option in words.options for each in option.names)
        cases += [
            f"        {name})",
            '            case "$previous" in',
            *values,
            f"                *) options='{all_options}' words='{' '.join(words.arguments)}' ;;",
            "            esac",
            "            ;;",
        ]
    body = "\n".join(cases)
    function = f"_{program}"
    return f"""\
# bash completion of {program}, by: {_made_by(program)} bash
{function}() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}}
    local words='' options=''
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W '{" ".join(commands)} --help --version' -- "$current"))
        return
    fi
    case "${{COMP_WORDS[1]}}" in
{body}
    esac
    case "$current" in -*) words=$options ;; esac
    if [ -n "$words" ]; then
        COMPREPLY=($(compgen -W "$words" -- "$current"))
    fi
}}
complete -o bashdefault -o default -F {function} {program}
"""


def zsh(commands: dict[str, Words], program: str = "tramontane") -> str:
    """A function that calls `_arguments` with the options of the command."""
    listed = "\n".join(f"    {_quoted(f'{n}:{w.summary}')}" for n, w in commands.items())
    cases = []
    for name, words in commands.items():
        arguments = [*_zsh_options(words), _zsh_argument(words)]
        joined = " \\\n        ".join(arguments)
        cases.append(f"    {name}) _arguments -s \\\n        {joined} ;;")
    body = "\n".join(cases)
    return f"""\
#compdef {program}
# zsh completion of {program}, by: {_made_by(program)} zsh
_{program}() {{
  local -a commands
  commands=(
{listed}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  shift words
  (( CURRENT-- ))
  case "$words[1]" in
{body}
  esac
}}
if [ "$funcstack[1]" = _{program} ]; then _{program} "$@"; else compdef _{program} {program}; fi
"""


def _zsh_options(words: Words) -> Iterator[str]:
    for option in words.options:
        about = re.sub(r"([][:])", r"\\\1", option.about)
        value = f":value:({' '.join(option.choices)})" if option.choices else ":value:_files"
        for name in option.names:
            yield _quoted(f"*{name}[{about}]{value if option.takes_value else ''}")


def _zsh_argument(words: Words) -> str:
    if words.arguments:
        return _quoted(f"*:argument:({' '.join(words.arguments)})")
    return _quoted("*:file:_files")


def fish(commands: dict[str, Words], program: str = "tramontane") -> str:
    """A line for each command and option."""
    lines = [f"# fish completion of {program}, by: {_made_by(program)} fish"]
    for name, words in commands.items():
        about = _quoted(words.summary)
        lines.append(f"complete -c {program} -f -n __fish_use_subcommand -a {name} -d {about}")
    for name, words in commands.items():
        start = f"complete -c {program} -n '__fish_seen_subcommand_from {name}'"
        for option in words.options:
            names = " ".join(
                f"-l {each[2:]}" if each.startswith("--") else f"-s {each[1:]}"
                for each in option.names
            )
            value = ""
            if option.choices:
                value = f" -x -a '{' '.join(option.choices)}'"
            elif option.takes_value:
                value = " -r"
            lines.append(f"{start} {names}{value} -d {_quoted(option.about)}")
        if words.arguments:
            lines.append(f"{start} -a '{' '.join(words.arguments)}'")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def powershell(commands: dict[str, Words], program: str = "tramontane") -> str:
    """An argument completer with a table of the words of each command."""
    rows, values = [], []
    for name, words in commands.items():
        options = " ".join(each for option in words.options for each in option.names)
        rows.append(f"    {_in_powershell(name)} = {_in_powershell(options)}, "
                    f"{_in_powershell(' '.join(words.arguments))}")  # fmt: skip
        values += [
            f"    {_in_powershell(f'{name} {each}')} = {_in_powershell(' '.join(option.choices))}"
            for option in words.options
            if option.choices
            for each in option.names
        ]
    listed, chosen = "\n".join(rows), "\n".join(values)
    return f"""\
# PowerShell completion of {program}, by: {_made_by(program)} powershell
Register-ArgumentCompleter -Native -CommandName {program} -ScriptBlock {{
  param($word, $line, $cursor)
  $commands = @{{
{listed}
  }}
  $choices = @{{
{chosen}
  }}
  $given = @($line.CommandElements | Where-Object {{ $_.Extent.EndOffset -lt $cursor }} |
    ForEach-Object {{ "$_" }})
  if ($given.Count -lt 2) {{ $words = @($commands.Keys) + '--help', '--version' }}
  elseif (-not $commands.ContainsKey($given[1])) {{ return }}
  elseif ($choices.ContainsKey("$($given[1]) $($given[-1])")) {{
    $words = $choices["$($given[1]) $($given[-1])"] -split ' '
  }}
  elseif ($word.StartsWith('-')) {{ $words = $commands[$given[1]][0] -split ' ' }}
  else {{ $words = $commands[$given[1]][1] -split ' ' }}
  $words | Where-Object {{ $_ -and $_.StartsWith($word) }} | Sort-Object |
    ForEach-Object {{ [System.Management.Automation.CompletionResult]::new($_) }}
}}
"""


def _in_powershell(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _made_by(program: str) -> str:
    return f"{program} {'completion' if program == 'tramontane' else 'completions'}"


SCRIPTS = {"bash": bash, "zsh": zsh, "fish": fish, "powershell": powershell}
