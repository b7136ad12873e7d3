"""Every error that a user can act on. Each message says what, which value, and the way out."""


class TramontaneError(Exception):
    """Base of all of them; the command line prints these without a traceback.

    message: what is wrong. hint: what the one who runs the program can do about it, in options,
    Python arguments or commands. `str()` has both; an HTTP server sends its clients `message`, as
    they have neither a command line nor Python.
    """

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class PluginError(TramontaneError):
    """A plugin is missing, broken, clashing or built for another core."""


class PluginNotInstalled(PluginError):
    """Nothing installed offers the name; the message says which distribution does."""


class PluginConflict(PluginError):
    """Two distributions offer one name; the message names both."""


class PluginIncompatible(PluginError):
    """A plugin was written for another core."""


class PluginBroken(PluginError):
    """A plugin raises, misspells a hook, or does not offer what it advertises."""


class ModelNotFound(TramontaneError):
    """A model's path or hub id leads nowhere, or not to anyone with this token."""


class DownloadError(TramontaneError):
    """A model cannot be fetched now: no connection, no room on the disk, a refused token."""


class CheckpointError(TramontaneError):
    """A model's files are not what they should be: truncated, inconsistent, or not a model."""


class ConfigError(CheckpointError):
    """A model's configuration has a value that the architecture does not support."""


class AdapterError(CheckpointError):
    """An adapter's files are not what they should be, or do not fit the model."""


class NoTokenizer(CheckpointError):
    """A model's files have no tokenizer; it takes and returns token ids only."""


class NotEnoughMemory(TramontaneError):
    """A model needs more bytes than are free; the message has both numbers."""


class TemplateError(TramontaneError):
    """A chat template is missing, malformed, or refuses the messages."""


class NoTemplate(TemplateError):
    """A model has no chat template, so only plain text can be continued."""


class RequestError(TramontaneError):
    """A request asks for what cannot be: a prompt over the context, a parameter out of range."""


class UsageError(RequestError):
    """A command line has an option's value that cannot be; the command's exit status is 2."""


class EngineBusy(RequestError):
    """As many requests wait as may; the same may work later. seconds: after how long, roughly."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class ModelLost(EngineBusy):
    """A device or a rank is gone, so that a model computes nothing until it is loaded again."""


class NoReference(TramontaneError):
    """An implementation to compare a model with is not installed, has no such model, or cannot run
    it."""


class SessionError(TramontaneError):
    """A saved session is damaged or belongs to another model."""
