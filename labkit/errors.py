"""Failures that a learner can mend: what was tried, what was found, and what helps."""

__all__ = ["ConfigurationError", "InputError", "LabError", "RegistryError", "StartError", "WaitTimeout"]


class LabError(Exception):
    """Base of every error that labkit raises on purpose.

    ``problem`` says what was tried and what was found, ``remedy`` is the command or the change that helps.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem}\n  To mend it: {remedy}" if remedy else problem)
        self.problem = problem
        self.remedy = remedy


class ConfigurationError(LabError):
    """A file, a flag or an environment variable holds a value that cannot be used."""


class InputError(LabError, ValueError):
    """An argument has the wrong shape, type or range."""


class RegistryError(LabError):
    """A model version is missing, damaged, or not one that may be loaded."""


class StartError(LabError):
    """A server could not be found, or did not start."""


class WaitTimeout(LabError, TimeoutError):
    """A condition did not come true in time."""
