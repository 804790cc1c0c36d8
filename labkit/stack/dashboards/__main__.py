"""Write the dashboards that Grafana reads: ``python -m labkit.stack.dashboards``."""

import click

from labkit.stack.dashboards import write
from labkit.stack.render import config_dir

if __name__ == "__main__":
    for path in write(config_dir() / "grafana" / "dashboards"):
        click.echo(path)
