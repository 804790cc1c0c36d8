"""What runs, where, and how it is: the table that `labkit status` and a notebook show."""

import html
from dataclasses import asdict, dataclass

__all__ = ["ServiceStatus", "Status"]

_MARKS = {"ready": "●", "starting": "◐", "stopped": "○"}
_COLOURS = {"ready": "#0072b2", "starting": "#e69f00", "stopped": "#d55e00"}  # told apart by colour-blind eyes too


@dataclass(frozen=True)
class ServiceStatus:
    """One process of the stack. ``state`` is ``ready``, ``starting`` or ``stopped``; ``page`` is for a browser."""

    name: str
    purpose: str
    state: str
    url: str = ""
    page: str = ""


@dataclass(frozen=True)
class Status:
    """The stack at one moment."""

    speed: float
    services: tuple[ServiceStatus, ...]
    champion: str
    traffic: str
    alerts_firing: tuple[str, ...]
    notices: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """True when every service answers."""
        return all(service.state == "ready" for service in self.services)

    def to_dict(self) -> dict:
        """Return the status as JSON-ready values."""
        return {"ready": self.ready, **asdict(self)}

    def _facts(self) -> list[tuple[str, str]]:
        return [
            ("lab time", f"one lab second is {self.speed:g} production seconds"),
            ("champion", self.champion),
            ("traffic", self.traffic),
            ("alerts firing", ", ".join(self.alerts_firing) or "none"),
            *(("note", notice) for notice in self.notices),
        ]

    def __str__(self) -> str:
        width = max(len(service.name) for service in self.services)
        lines = [
            f"{_MARKS[each.state]} {each.name:<{width}}  {each.state:<8}  {each.url:<23}  {each.purpose}".rstrip()
            for each in self.services
        ]
        return "\n".join([*lines, "", *(f"  {name:<14} {value}" for name, value in self._facts())])

    def _repr_html_(self) -> str:
        rows = [
            (f"<b>{service.name}</b>", _mark(service.state), _address(service), html.escape(service.purpose))
            for service in self.services
        ]
        body = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows)
        facts = "".join(f"<tr>{_cell(name)}{_cell(html.escape(value), 3)}</tr>" for name, value in self._facts())
        head = "".join(f"<th {_LEFT}>{name}</th>" for name in ("service", "state", "address", "what it is"))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}{facts}</tbody></table>"


_LEFT = 'style="text-align:left"'


def _cell(text: str, columns: int = 1) -> str:
    return f'<td {_LEFT} colspan="{columns}">{text}</td>'


def _mark(state: str) -> str:
    return f'<span style="color:{_COLOURS[state]}">{_MARKS[state]}</span> {state}'


def _address(service: ServiceStatus) -> str:
    if not service.page:
        return html.escape(service.url)
    return f'<a href="{html.escape(service.page)}" target="_blank" rel="noopener">{html.escape(service.url)}</a>'
