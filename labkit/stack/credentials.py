"""The lab's secrets: made once, at random, each in a file that only its owner can read."""

import secrets
from collections.abc import Callable
from pathlib import Path

from labkit.stack.files import write_private

__all__ = ["ALERTMANAGER_USER", "create_credentials"]

ALERTMANAGER_USER = "labkit"

_MAKERS: dict[str, Callable[[], str]] = {
    "reload_token": lambda: secrets.token_urlsafe(32),
    "retrainer_token": lambda: secrets.token_urlsafe(32),
    "heartbeat_token": lambda: secrets.token_urlsafe(32),
    "slack_token": lambda: secrets.token_hex(24),
    "pagerduty_key": lambda: secrets.token_hex(16),
    "smtp_password": lambda: secrets.token_urlsafe(24),
    "alertmanager_password": lambda: secrets.token_urlsafe(24),
    "grafana_password": lambda: secrets.token_urlsafe(24),
}


def create_credentials(folder: Path, inbox: str) -> None:
    """Write the secrets that are missing from ``folder``, and the two files that are made from others.

    ``inbox`` is the address at which Alertmanager finds the inbox, such as ``127.0.0.1:8002``.
    """
    for name, make in _MAKERS.items():
        if not (folder / name).exists():
            write_private(folder / name, make())
    token = (folder / "slack_token").read_text()
    write_private(folder / "slack_url", f"http://{inbox}/slack/{token}")
    if not (folder / "alertmanager_web.yml").exists():
        write_private(folder / "alertmanager_web.yml", _web_config((folder / "alertmanager_password").read_text()))


def _web_config(password: str) -> str:
    import bcrypt

    # Nobody guesses 24 random bytes, so a low cost is safe, and Alertmanager answers fast.
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(5)).decode()
    return f'basic_auth_users:\n  {ALERTMANAGER_USER}: "{hashed}"\n'
