"""Show the inbox in a browser. Messages are untrusted: text is escaped, HTML stays in a frame that may do nothing."""

from collections.abc import Iterable
from datetime import datetime
from html import escape

from labkit.respond.mailbox import Message

__all__ = ["CONTENT_SECURITY_POLICY", "inbox_page"]

# Frames written with srcdoc inherit it: even in a mail nothing is loaded from elsewhere and no script runs.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1f2933 }
article { border-left: .3rem solid #2f855a; padding: .2rem 1rem; margin: 1rem 0; background: #f7f9fa }
article.firing { border-color: #c53030 }
h2 { font-size: 1rem; margin: .4rem 0 } small { color: #52606d } pre { white-space: pre-wrap; overflow-wrap: anywhere }
iframe { width: 100%; height: 18rem; border: 1px solid #cbd2d9; background: white }
"""


def inbox_page(messages: Iterable[Message]) -> str:
    """Return the page with the newest message on top."""
    articles = "".join(_article(message) for message in reversed(list(messages)))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">'
        f"<title>Inbox</title><style>{_STYLE}</style></head>"
        f"<body><h1>Inbox</h1>{articles or '<p>Nothing has arrived yet.</p>'}</body></html>"
    )


def _article(message: Message) -> str:
    at = datetime.fromtimestamp(message.received_at).strftime("%H:%M:%S")
    status = "resolved" if message.status == "resolved" else "firing"
    body = f"<pre>{escape(message.text)}</pre>"
    if message.html is not None:
        body = f'<iframe sandbox title="mail {message.id}" srcdoc="{escape(message.html)}"></iframe>'
    return (
        f'<article class="{status}"><small>{at} · {escape(message.channel)} · {status}</small>'
        f"<h2>{escape(message.title)}</h2>{body}</article>"
    )
