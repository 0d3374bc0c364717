"""One exchange, from the client's bytes to the upstream's and back."""

from __future__ import annotations

import pytest

from playbook import playing

pytestmark = pytest.mark.trio


async def test_a_request_and_its_reply() -> None:
    async with playing() as play:
        client = await play.client()
        await client.ask({"model": "m", "messages": [{"role": "user", "content": "hello"}]})
        asked = await play.upstream.asked()
        assert asked.target == "/v1/chat/completions"
        await asked.reply({"id": "1"})
        reply = await client.reply()
        assert (reply.status, reply.json) == (200, {"id": "1"})
        record = await play.record()
        assert record.status == 200
