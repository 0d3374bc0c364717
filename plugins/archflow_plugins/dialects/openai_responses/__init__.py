"""OpenAI Responses: `POST /v1/responses`, in both directions.

`dialect` is the kind; `table` says what becomes of each feature. `items`, `tools` and `fields` read a request,
`request` writes one; `read_reply`, `write_reply` and `output` are about replies, and `watch` learns from passing ones.
"""
