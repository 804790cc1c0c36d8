"""The command line: everything a learner does to the lab without a notebook."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labkit import __version__
from labkit.errors import LabError

if TYPE_CHECKING:
    from labkit.lab import Lab

__all__ = ["main"]


class _Commands(click.Group):
    """Commands in the order in which they are written; errors of the lab end them in words, without a traceback."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, context: click.Context) -> None:
        try:
            super().invoke(context)
        except LabError as error:
            click.echo(f"labkit: {error}", err=True)
            context.exit(1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Learn to watch machine-learning models in production, on real servers."""


@main.command()
@click.option("--backend", type=click.Choice(["processes", "containers"]), help="How they run; by default as before.")
def up(backend: str | None) -> None:
    """Start the servers, or say that they run."""
    click.echo(_lab(backend).up().status())


@main.command()
@click.option("--purge", is_flag=True, help="Delete the lab's data, secrets and progress too.")
def down(purge: bool) -> None:
    """Stop every server of this lab."""
    _lab().down(purge=purge)
    click.echo("Nothing of this lab runs any more." + (" Its folder is gone." if purge else ""))


@main.command()
def reset() -> None:
    """Begin again: no traffic, the shipped champion, everything empty."""
    click.echo(_lab().reset().status())


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def status(as_json: bool) -> None:
    """Show which server runs where, and what goes on; exit 1 when one does not answer."""
    found = _lab().status()
    click.echo(json.dumps(found.to_dict(), indent=2) if as_json else str(found))
    sys.exit(not found.ready)


@main.command()
def progress() -> None:
    """Show which exercises are solved."""
    from labkit.teach.lessons import NUMBERS, open_lesson

    for number in NUMBERS:
        click.echo(open_lesson(number))


@main.command()
def alerts() -> None:
    """List alerts that are pending or firing."""
    frame = _lab().alerts()
    columns = [name for name in ("alertname", "state", "severity", "feature", "summary") if name in frame]
    click.echo(frame[columns].fillna("").to_string(index=False) if len(frame) else "No alert is pending or firing.")


@main.command()
@click.option("--channel", type=click.Choice(["slack", "email", "pagerduty"]), help="Only this channel.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def inbox(channel: str | None, as_json: bool) -> None:
    """Show the messages that Alertmanager sent."""
    messages = _lab().messages(channel)
    if as_json:
        click.echo(json.dumps(messages, indent=2))
        return
    for message in messages:
        click.echo(f"--- {message['channel']}, {message['status']}: {message['title']}\n{message['text']}\n")
    click.echo(f"{len(messages)} messages")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def doctor(as_json: bool) -> None:
    """Look for what is wrong with this machine or this lab, and say what mends it; exit 1 when something is."""
    from labkit.doctor import examine

    findings = examine()
    if as_json:
        click.echo(json.dumps([finding.to_dict() for finding in findings], indent=2))
    else:
        click.echo("\n".join(map(str, findings)))
    sys.exit(not all(finding.ok for finding in findings))


@main.command()
def lint() -> None:
    """Check rules and dashboards against what the servers export; exit 1 when something is wrong."""
    from labkit.lint import check, read_exported

    lab = _lab()
    problems = check(exported=read_exported(lab if lab.is_up() else None))
    click.echo("\n".join(map(str, problems)) or "Every metric and label exists, and every panel has its place.")
    sys.exit(bool(problems))


@main.command()
@click.option("--scenario", "name", default="concept_shift", show_default=True, help="What goes wrong.")
@click.option("--seed", default=1, show_default=True, help="Which flowers are sent.")
def demo(name: str, seed: int) -> None:
    """Play a scenario from fault to recovery, live; exit 1 when it ends otherwise than it should."""
    from labkit.showing import show_demo

    sys.exit(not show_demo(name, seed))


@main.command()
@click.option("--scenario", "name", default="steady", show_default=True, help="What the traffic is like.")
@click.option("--rate", default=20.0, show_default=True, help="Requests per lab second.")
@click.option("--severity", default=1.0, show_default=True, help="How much of the change comes, from 0 to 1.")
@click.option("--seed", default=0, show_default=True, help="Which flowers are sent.")
@click.option("--for", "duration", default=None, help="Production time, such as 2h; without it, until Ctrl-C.")
def traffic(name: str, rate: float, severity: float, seed: int, duration: str | None) -> None:
    """Send requests and late labels, and show what was achieved."""
    from labkit.showing import show_traffic

    lab = _lab()
    lab.traffic(name, rate=rate, seed=seed, severity=severity)
    show_traffic(lab, duration)


@main.command()
@click.option("--seeds", default=50, show_default=True, help="How many runs of each scenario.")
@click.option("--seed", default=1, show_default=True, help="The first seed.")
@click.option("--scenario", "names", multiple=True, help="Only this scenario; may be given again. Default: all.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for table, CSV, JSON, picture.")
@click.option("--write", type=click.Path(dir_okay=False, path_type=Path), help="Markdown page to put the table into.")
def tournament(seeds: int, seed: int, names: tuple[str, ...], out: Path | None, write: Path | None) -> None:
    """Score detectors of drift on every scenario, without servers."""
    from labkit.tournament import missing, run
    from labkit.tournament.report import markdown, write_files, write_into

    table = run(names, seeds=seeds, seed=seed) if names else run(seeds=seeds, seed=seed)
    text = markdown(table)
    click.echo(text)
    if absent := missing():
        click.echo(f"Not installed, so not in it: {', '.join(absent)}.")
    for path in write_files(table, out) if out else ():
        click.echo(f"wrote {path}")
    if write:
        write_into(write, text)
        click.echo(f"wrote {write}")


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
def notebooks(folder: Path) -> None:
    """Write the notebooks, and the pages they link to, into FOLDER; files that are there stay as they are."""
    from labkit.teach.files import write_course

    written, kept = write_course(folder)
    click.echo(f"{len(written)} files written into {folder}" + (f", {len(kept)} left as they were" if kept else ""))
    click.echo(f"Open them: jupyter lab {folder / 'notebooks' / '00_start_here.ipynb'}")


@main.command()
def models() -> None:
    """List the model versions in the registry."""
    from labkit.lab import MODEL_NAME

    registry = _lab().registry
    champion, challenger = registry.champion(MODEL_NAME), registry.challenger(MODEL_NAME)
    for version in registry.versions(MODEL_NAME):
        meta = registry.meta(MODEL_NAME, version)
        role = {champion: "champion", challenger: "challenger"}.get(version, "")
        accuracy = meta.evaluation["accuracy"]
        click.echo(
            f"{version:<6} {role:<10} accuracy {accuracy:.3f}  trained {meta.trained_at}  on {meta.data_version}"
        )


@main.command()
@click.argument("version")
def rollback(version: str) -> None:
    """Serve an earlier VERSION again."""
    click.echo(f"{_lab().rollback(version)} is champion and serves.")


def _lab(backend: str | None = None) -> "Lab":
    from labkit.lab import Lab

    return Lab.attach(backend=backend)


if __name__ == "__main__":
    main()
