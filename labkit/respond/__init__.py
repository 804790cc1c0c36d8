"""What answers an alert: a local inbox for messages, and the retrainer.

Read of the inbox: inbox (the process), mailbox, formats, mailserver, page. Read of the retrainer: retraining (the
process), retrainer (whether to run), run (the steps of a run), evidence, trial, promotion; policy, gates and
changepoint decide there.
"""
