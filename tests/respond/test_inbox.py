"""The inbox takes what Slack, PagerDuty and a mail server take, from who knows the secret, and shows it harmlessly."""

import smtplib
from email.message import EmailMessage

import httpx
import pytest

from labkit.respond.inbox import Inbox, Secrets, create_app
from labkit.respond.mailbox import MAX_CHARACTERS, Draft, Mailbox

SECRETS = Secrets(slack_token="slack-1", pagerduty_key="key-2", smtp_password="pass-3", heartbeat_token="beat-4")
SLACK = {"attachments": [{"title": "[FIRING] ModelDown (iris)", "text": "runbook: look", "color": "danger"}]}
EVENT = {
    "routing_key": "key-2",
    "event_action": "trigger",
    "dedup_key": "d1",
    "payload": {"summary": "[FIRING] ModelDown (iris)", "severity": "critical", "source": "labkit"},
}


@pytest.fixture
def smtp_port(unused_port):
    return unused_port()


@pytest.fixture
def client(serving, smtp_port):
    with serving(create_app(SECRETS, smtp_port)) as url, httpx.Client(base_url=url) as client:
        yield client


def mail(subject="[FIRING] ModelDown (iris)", html=None, text="it is down"):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@labkit.example", "b@labkit.example", subject
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
    return message


def send_mail(port, message, password="pass-3"):
    with smtplib.SMTP("127.0.0.1", port, timeout=5) as smtp:
        if password is not None:
            smtp.login("labkit", password)
        smtp.send_message(message)


def metric(client, name):
    lines = client.get("/metrics").text.splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def test_slack_answers_a_message_with_the_plain_text_ok(client):
    answer = client.post("/slack/slack-1", json=SLACK)

    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (200, "ok", "text/plain; charset=utf-8")


def test_pagerduty_answers_an_event_with_202_and_its_key(client):
    answer = client.post("/v2/enqueue", json=EVENT)

    assert (answer.status_code, answer.json()["dedup_key"]) == (202, "d1")


def test_each_channel_lists_what_it_received(client, smtp_port):
    client.post("/slack/slack-1", json=SLACK)
    client.post("/v2/enqueue", json=EVENT)
    send_mail(smtp_port, mail())

    messages = client.get("/messages").json()

    kept = [(m["id"], m["channel"], m["status"], m["title"], m["alertnames"]) for m in messages]
    title = "[FIRING] ModelDown (iris)"
    assert kept == [(n, c, "firing", title, ["ModelDown"]) for n, c in enumerate(("slack", "pagerduty", "email"), 1)]


def test_a_resolved_alert_is_told_from_a_firing_one_on_each_channel(client, smtp_port):
    client.post("/slack/slack-1", json={"attachments": [{"title": "[RESOLVED] ModelDown (iris)", "color": "good"}]})
    client.post("/v2/enqueue", json=EVENT | {"event_action": "resolve"})
    send_mail(smtp_port, mail(subject="[RESOLVED] ModelDown (iris)"))

    assert [message["status"] for message in client.get("/messages").json()] == ["resolved"] * 3


def test_messages_can_be_narrowed_to_the_newest_of_a_channel(client):
    for name in ("one", "two", "three"):
        client.post("/slack/slack-1", json={"text": name})
    client.post("/v2/enqueue", json=EVENT)

    answer = client.get("/messages", params={"channel": "slack", "limit": 2})

    assert [message["title"] for message in answer.json()] == ["two", "three"]


@pytest.mark.parametrize("asked", [{"limit": "0"}, {"limit": "1001"}, {"limit": "ten"}, {"channel": "fax"}])
def test_a_question_for_messages_that_has_no_answer_is_refused_by_name(client, asked):
    answer = client.get("/messages", params=asked)
    assert (answer.status_code, answer.json()["detail"].partition(":")[0]) == (422, *asked)


def test_a_refusal_is_json_that_says_why(client):
    missing, forbidden = client.get("/nothing"), client.post("/heartbeat", json={})

    assert (missing.status_code, missing.json()) == (404, {"detail": "Not Found"})
    assert (forbidden.status_code, forbidden.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert forbidden.json() == {"detail": "the bearer token is wrong or missing"}


def test_cleared_messages_are_gone_and_their_ids_are_not_used_again(client):
    client.post("/slack/slack-1", json=SLACK)
    client.request("DELETE", "/messages", headers={"Content-Type": "application/json"})
    client.post("/slack/slack-1", json=SLACK)

    assert [message["id"] for message in client.get("/messages").json()] == [2]


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/slack/guess", SLACK, {}),
        ("/v2/enqueue", EVENT | {"routing_key": "guess"}, {}),
        ("/v2/enqueue", {key: value for key, value in EVENT.items() if key != "routing_key"}, {}),
        ("/heartbeat", {}, {}),
        ("/heartbeat", {}, {"Authorization": "Bearer guess"}),
    ],
)
def test_a_wrong_or_missing_token_is_refused_and_counted(client, path, body, headers):
    answer = client.post(path, json=body, headers=headers)

    channel = {"/slack/guess": "slack", "/v2/enqueue": "pagerduty", "/heartbeat": "heartbeat"}[path]
    assert answer.status_code == 401
    assert metric(client, f'inbox_rejected_total{{channel="{channel}"}}') == 1
    assert client.get("/messages").json() == []


@pytest.mark.parametrize("password", ["guess", None])
def test_mail_without_the_password_is_refused(client, smtp_port, password):
    with pytest.raises(smtplib.SMTPException):
        send_mail(smtp_port, mail(), password)

    assert client.get("/messages").json() == []


def test_a_message_of_more_than_64_kib_is_refused(client):
    answer = client.post("/slack/slack-1", json={"text": "x" * MAX_CHARACTERS})

    assert (answer.status_code, client.get("/messages").json()) == (413, [])


def test_a_long_mail_is_cut_and_says_so(client, smtp_port):
    send_mail(smtp_port, mail(text="word " * 30_000))

    message = client.get("/messages").json()[0]

    assert len(message["text"]) < MAX_CHARACTERS + 100
    assert message["text"].endswith("cut here: the message was too long")


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000, b"[]", b"{}", b'{"text": 1, "attachments": "x"}'])
def test_a_body_that_is_no_slack_message_is_answered_400(client, body):
    answer = client.post("/slack/slack-1", content=body, headers={"Content-Type": "application/json"})

    assert (answer.status_code, client.get("/messages").json()) == (400 if len(body) < 65_536 else 413, [])


def test_only_the_latest_messages_are_kept():
    mailbox = Mailbox(capacity=2)
    for title in "abc":
        mailbox.add(Draft("slack", "firing", title, "", (), ""))

    assert [message.title for message in mailbox.messages()] == ["b", "c"]


def test_the_page_escapes_messages_and_keeps_html_mail_in_a_sandbox(client, smtp_port):
    attack = "<script>alert(1)</script>"
    client.post("/slack/slack-1", json={"text": attack})
    send_mail(smtp_port, mail(subject=attack, html=f'"></iframe>{attack}'))

    page = client.get("/")

    assert "<script" not in page.text and page.text.count("&lt;script&gt;") == 4
    assert '<iframe sandbox title="mail 2" srcdoc="&quot;&gt;&lt;/iframe&gt;' in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


def test_the_heartbeat_moves_its_metric(client):
    before = metric(client, "inbox_heartbeat_timestamp_seconds")
    client.post("/heartbeat", json={}, headers={"Authorization": "Bearer beat-4"})

    assert before == 0
    assert metric(client, "inbox_heartbeat_timestamp_seconds") > 1e9


def test_every_channel_is_counted_from_zero(client):
    before = [metric(client, f'inbox_messages_total{{channel="{name}"}}') for name in ("slack", "email", "pagerduty")]
    client.post("/slack/slack-1", json=SLACK)

    assert before == [0, 0, 0]
    assert metric(client, 'inbox_messages_total{channel="slack"}') == 1


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}])
def test_a_page_of_another_origin_changes_nothing(client, headers):
    client.post("/slack/slack-1", json=SLACK)

    answer = client.request("DELETE", "/messages", headers={"Content-Type": "application/json", **headers})

    assert answer.status_code in (403, 421)
    assert len(client.get("/messages").json()) == 1


def test_two_inboxes_count_apart():
    one, other = Inbox(), Inbox()
    one.receive(Draft("slack", "firing", "a", "", (), ""))

    assert other.registry.get_sample_value("inbox_messages_total", {"channel": "slack"}) == 0
