"""What the terminal shows while things happen: the live timeline of a demo, the progress of traffic."""

import time
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.text import Text

from labkit.clock import format_duration, wait_until
from labkit.simulate.control import read_status

if TYPE_CHECKING:
    from labkit.lab import Lab
    from labkit.timeline import Timeline

__all__ = ["show_demo", "show_traffic"]

_STYLES = {
    "fault_injected": "bold red",
    "alert_pending": "yellow",
    "alert_firing": "bold red",
    "alert_resolved": "green",
    "notification_received": "magenta",
    "retraining_started": "cyan",
    "retraining_finished": "bold cyan",
    "champion_changed": "bold cyan",
    "recovered": "bold green",
}


def show_demo(name: str, seed: int) -> bool:
    """Play a scenario in the terminal; returns whether it went as its truth says. A stack started for it is stopped."""
    from labkit.demo import Demo
    from labkit.lab import Lab
    from labkit.simulate.scenarios import RESPONSES, scenario

    console = Console(highlight=False)
    truth = scenario(name)
    console.print(f"[bold]{name}[/]  {escape(truth.summary)}")
    console.print(f"[dim]The right response: {RESPONSES[truth.response]}[/]\n")
    lab = Lab.attach()
    was_up = lab.is_up()
    try:
        with console.status("starting the servers on empty data ..."):
            lab.reset()
        console.print(
            f"[dim]One lab second is {format_duration(lab.clock.speed)} of production time; below, the latter.[/]\n"
        )
        with console.status("") as line:
            demo = Demo(
                lab, name, seed,
                tell=lambda entry: _print(console, entry),
                tick=lambda: line.update(str(read_status(lab.home.traffic_status))),
            )  # fmt: skip
            timeline = demo.play()
        files = demo.save(lab.home.demo)
        return _conclude(console, timeline, files)
    finally:
        if not was_up:
            lab.down()


def show_traffic(lab: "Lab", duration: str | None) -> None:
    """Show what traffic achieves until it has lasted ``duration``, or until Ctrl-C; then stop it."""
    console = Console(highlight=False)
    end = time.time() + lab.clock.lab_seconds(duration) if duration else float("inf")
    try:
        with console.status("") as line:

            def over() -> bool:
                line.update(str(read_status(lab.home.traffic_status)))
                return time.time() >= end

            wait_until(over, float("inf"), "traffic to end", every=0.25)
    except KeyboardInterrupt:
        console.print("stopped")
    finally:
        lab.stop_traffic()
        wait_until(lambda: not read_status(lab.home.traffic_status).running, 5, "traffic to stop")
        console.print(str(read_status(lab.home.traffic_status)))


def _print(console: Console, entry: dict[str, Any]) -> None:
    console.print(_line(entry))
    if entry["event"] == "notification_received" and entry["channel"] == "slack":
        style = "red" if entry["status"] == "firing" else "green"
        console.print(Panel(Text(entry["text"]), title=Text(entry["title"]), border_style=style, width=96))


def _line(entry: dict[str, Any]) -> Text:
    minutes = entry["production_seconds"] // 60
    text = Text(f"{minutes // 60:2d} h {minutes % 60:02d} min  ", style="dim")
    return text.append(f"{entry['event'].replace('_', ' '):<22}", _STYLES.get(entry["event"], "bold")).append(
        _facts(entry)
    )


def _facts(entry: dict[str, Any]) -> str:
    match entry["event"]:
        case "alert_pending" | "alert_firing" | "alert_resolved":
            return entry["alert"] + (f" ({entry['feature']})" if "feature" in entry else "")
        case "notification_received":
            return f"{entry['channel']}: {entry['title']}"
        case "retraining_finished":
            return f"{entry['result']}: {entry['reason']}"
        case "fault_injected":
            return entry["scenario"]
        case "champion_changed":
            return f"{entry['version']} serves"
        case "traffic_started":
            return f"{entry['rate']:g} requests per lab second"
    return ""


def _conclude(console: Console, timeline: "Timeline", files: tuple) -> bool:
    shown = {name: "unknown" if value is None else f"{value:.3f}" for name, value in timeline.accuracy.items()}
    console.print(f"\naccuracy   before {shown['before']}, during {shown['during']}, after {shown['after']}")
    console.print(f"champion   before {timeline.champion['before']}, after {timeline.champion['after']}")
    console.print(f"alerts     {', '.join(timeline.alerts_fired()) or 'none'}")
    fault, recovered = timeline.find("fault_injected"), timeline.find("recovered")
    if fault and recovered:
        console.print(f"recovery   {recovered['lab_seconds'] - fault['lab_seconds']:.0f} lab seconds after the fault")
    for file in files:
        console.print(f"written    {file}", soft_wrap=True)
    problems = timeline.problems()
    for problem in problems:
        console.print(f"[bold red]not as it should be:[/] {escape(problem)}")
    if not problems:
        console.print("[bold green]This is how it should end.[/]")
    return not problems
