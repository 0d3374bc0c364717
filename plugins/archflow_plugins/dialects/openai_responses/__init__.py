"""OpenAI Responses: `POST /v1/responses`, in both directions, and what is kept for clients that go on from it.

`dialect` is the kind; `table` says what becomes of each feature. `wire`, `items`, `tools` and `fields` read a request,
`sent` and `request` write one. `read_reply` reads a reply; `write_reply`, `output` and `echo` write one; `watch` learns
from one that passes by. `state` keeps replies.
"""
