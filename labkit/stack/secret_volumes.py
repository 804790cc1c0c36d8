"""Give containers their secrets: made once, kept in volumes, each copy readable by the one user id that needs it."""

import os
import shutil
import tempfile
from pathlib import Path

import click

from labkit.stack.credentials import create_credentials

__all__ = ["USERS", "fill"]

# For each volume its user's id, and what that user needs.
USERS = {
    "labkit": (
        1000,
        ("reload_token", "retrainer_token", "heartbeat_token", "slack_token", "pagerduty_key", "smtp_password"),
    ),
    "monitoring": (
        65534,
        (
            "retrainer_token",
            "heartbeat_token",
            "slack_url",
            "pagerduty_key",
            "smtp_password",
            "alertmanager_password",
            "alertmanager_web.yml",
        ),
    ),
    "grafana": (472, ("grafana_password",)),
}


def fill(folder: Path, inbox: str) -> None:
    """Write what is missing into the folders of USERS below ``folder``; what is there already stays the same."""
    with tempfile.TemporaryDirectory() as name:
        together = Path(name)
        for path in (path for volume in USERS for path in (folder / volume).glob("*")):
            shutil.copyfile(path, together / path.name)
        create_credentials(together, inbox)
        for volume, (user, names) in USERS.items():
            for secret in names:
                _hand_over(together / secret, folder / volume / secret, user)
            _own(folder / volume, user, 0o500)


def _hand_over(source: Path, target: Path, user: int) -> None:
    if not target.exists() or target.read_bytes() != source.read_bytes():
        fresh = target.with_name(f".{target.name}")
        fresh.touch(mode=0o600)
        fresh.write_bytes(source.read_bytes())
        fresh.replace(target)
    _own(target, user, 0o400)


def _own(path: Path, user: int, mode: int) -> None:
    path.chmod(mode)
    os.chown(path, user, user)


@click.command()
@click.option("--inbox", required=True, help="Where Alertmanager finds the inbox, e.g. inbox:8002.")
@click.argument("folder", type=click.Path(path_type=Path))
def main(inbox: str, folder: Path) -> None:
    """Put the secrets of the stack into the volumes below FOLDER."""
    fill(folder, inbox)
    click.echo("every server has its secrets")


if __name__ == "__main__":
    main()
