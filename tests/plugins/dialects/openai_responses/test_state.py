"""Responses that are kept: going on from them, and telling what was kept."""

import pytest
from msgspec import json
from openai.types.responses import ResponseItemList

from archflow_plugins.dialects.openai_responses import state
from archflow_plugins.dialects.openai_responses.dialect import OpenAIResponses
from archflow_plugins.kinds import Empty
from archflow_plugins.testing import run_context
from archflow_plugins.translation import Answering
from archflow_schema.errors import ClientProtocolError
from archflow_schema.events import Failed, Finished, Started, Stopped, TextDelta, ToolCallDelta

dialect = OpenAIResponses(Empty(), run_context())


def head(**fields):
    return dialect.decode_head(json.encode({"model": "m", **fields}))


def reply(asked, *events):
    """A translated reply to a request, and what is kept of it."""
    writer = dialect.reply_encoder(asked, Answering(request_id="r", model="m", created=1))
    body = writer.feed([Started(), *events, Stopped("stop"), Finished()])
    return body, dialect.keep(asked, writer)


def answered(asked, text="ho"):
    kept = reply(asked, TextDelta(text))[1]
    assert kept is not None
    return kept


def recalled(asked, store):
    """The request as it goes on from what a store holds, and which ids were looked up."""
    memory = dialect.recollect(asked)
    if memory is None:
        return asked, []
    wanted = []
    while one := memory.wants():
        wanted.append(one)
        memory.give(store.get(one))
    return memory.head(), wanted


def texts(asked):
    return [(message.role, message.text) for message in dialect.decode(asked).messages]


def test_a_request_that_refers_to_nothing():
    assert dialect.recollect(head(input="hi")) is None
    assert dialect.recollect(head(input="hi", previous_response_id=None)) is None
    assert dialect.missing(head(input="hi")) is None


def test_going_on_along_a_chain():
    first = answered(head(input="one", instructions="be brief"), "uno")
    store = {first.id: first.data}
    second = answered(head(input=[{"role": "user", "content": "two"}], previous_response_id=first.id), "due")
    store[second.id] = second.data
    found, wanted = recalled(
        head(input="three", previous_response_id=second.id, instructions="be long"), store
    )
    assert wanted == [second.id, first.id]
    assert texts(found) == [
        ("system", "be long"),
        ("user", "one"),
        ("assistant", "uno"),
        ("user", "two"),
        ("assistant", "due"),
        ("user", "three"),
    ]
    assert "previous_response_id" not in found.fields
    assert json.decode(found.body)["input"][-1] == {"type": "message", "role": "user", "content": "three"}
    assert dialect.missing(found) is None


def test_a_call_and_its_result_in_two_requests():
    asked = head(input="look")
    kept = reply(asked, ToolCallDelta(index=0, block=0, id="c1", name="look", arguments="{}"))[1]
    output = {"type": "function_call_output", "call_id": "c1", "output": "calm"}
    found, _ = recalled(head(input=[output], previous_response_id=kept.id), {kept.id: kept.data})
    assert json.decode(dialect.encode(dialect.decode(found), "m").body)["input"][1:] == [
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "calm"},
    ]


def test_an_item_that_is_referred_to():
    asked = head(input="one")
    body, kept = reply(asked, TextDelta("uno"))
    item = json.decode(body)["output"][0]["id"]
    given = [
        {"role": "user", "content": "one"},
        {"type": "item_reference", "id": item},
        {"role": "user", "content": "two"},
    ]
    found, wanted = recalled(head(input=given), {kept.id: kept.data})
    assert wanted == [kept.id]
    assert texts(found) == [("user", "one"), ("assistant", "uno"), ("user", "two")]
    later = answered(head(input=given), "due")
    store = {kept.id: kept.data, later.id: later.data}
    found, _ = recalled(head(input="three", previous_response_id=later.id), store)
    assert [text for _, text in texts(found)] == ["one", "uno", "two", "due", "three"]


def test_what_nobody_knows_stays_and_is_missing():
    found, wanted = recalled(head(input="hi", previous_response_id="resp_9"), {})
    assert wanted == ["resp_9"]
    status, body = dialect.missing(found)
    assert status == 404
    assert json.decode(body) == {
        "error": {
            "message": "Previous response with id 'resp_9' not found.",
            "type": "invalid_request_error",
            "param": "previous_response_id",
            "code": "previous_response_not_found",
        }
    }


def test_half_a_chain_is_none():
    first = answered(head(input="one"))
    second = answered(head(input="two", previous_response_id=first.id))
    found, _ = recalled(head(input="three", previous_response_id=second.id), {second.id: second.data})
    assert texts(found) == [("user", "three")]
    assert dialect.missing(found) is not None


@pytest.mark.parametrize("item", ["msg_up", "msg_" + "a" * 48 + "00", None])
def test_an_item_that_nobody_knows(item):
    asked = head(input=[{"type": "item_reference", "id": item}])
    found, _ = recalled(asked, {})
    problem = dialect.missing(found)
    if item is None:
        assert problem is None
        return
    assert problem is not None
    assert json.decode(problem[1])["error"]["message"] == f"Item with id '{item}' not found."


def test_data_that_cannot_be_read_is_none():
    found, _ = recalled(head(input="hi", previous_response_id="resp_1"), {"resp_1": b"\x93nonsense"})
    assert dialect.missing(found) is not None
    assert dialect.tell("GET", "resp_1", "", b"nonsense")[0] == 404


def test_a_chain_that_leads_to_itself_ends():
    one = state._encode_record(state._Record("resp_2", b"", b'{"id":"resp_1","output":[]}'))
    two = state._encode_record(state._Record("resp_1", b"", b'{"id":"resp_2","output":[]}'))
    found, wanted = recalled(head(input="hi", previous_response_id="resp_1"), {"resp_1": one, "resp_2": two})
    assert wanted == ["resp_1", "resp_2"]
    assert dialect.missing(found) is not None


@pytest.mark.parametrize(("limit", "value"), [("CHAIN_AT_MOST", 2), ("BYTES_AT_MOST", 3000)])
def test_a_conversation_that_is_too_long_is_refused(monkeypatch, limit, value):
    monkeypatch.setattr(state, limit, value)
    store, last = {}, None
    for _ in range(5):
        kept = answered(head(input="hi", previous_response_id=last))
        store[kept.id], last = kept.data, kept.id
    with pytest.raises(ClientProtocolError, match="too long"):
        recalled(head(input="hi", previous_response_id=last), store)


def test_a_chain_takes_the_room_of_its_length():
    sizes, last = [], None
    for _ in range(20):
        kept = answered(head(input="x" * 1000, previous_response_id=last))
        sizes.append(len(kept.data))
        last = kept.id
    assert max(sizes[1:]) - min(sizes[1:]) < 10


def test_what_the_client_does_not_want_kept_is_not():
    assert reply(head(input="hi", store=False), TextDelta("ho"))[1] is None
    assert reply(head(input="hi", store=None), TextDelta("ho"))[1] is not None
    writer = dialect.reply_encoder(head(input="hi"), Answering(request_id="r", model="m", created=1))
    writer.feed([Started(), TextDelta("a"), Failed("x", "y")])
    assert dialect.keep(head(input="hi"), writer) is None


@pytest.mark.parametrize(
    ("method", "rest", "wanted"),
    [
        ("GET", "resp_1", "resp_1"),
        ("HEAD", "resp_1", "resp_1"),
        ("DELETE", "resp_1", "resp_1"),
        ("GET", "resp_1/input_items", "resp_1"),
        ("POST", "resp_1/cancel", "resp_1"),
        ("POST", "resp_1", ""),
        ("POST", "compact", ""),
        ("GET", "", ""),
        ("DELETE", "resp_1/input_items", ""),
        ("GET", "resp_1/other", ""),
    ],
)
def test_what_can_be_asked(method, rest, wanted):
    assert dialect.asks(method, rest) == wanted


def test_telling_a_response():
    body, kept = reply(head(input="hi"), TextDelta("ho"))
    assert dialect.tell("GET", kept.id, "", kept.data) == (200, body)
    assert json.decode(dialect.tell("DELETE", kept.id, "", kept.data)[1]) == {
        "id": kept.id,
        "object": "response",
        "deleted": True,
    }
    assert dialect.tell("POST", f"{kept.id}/cancel", "", kept.data)[0] == 400
    assert dialect.tell("GET", kept.id, "stream=true", kept.data)[0] == 400
    status, told = dialect.tell("GET", "resp_9", "", None)
    assert status == 404
    assert "resp_9" in json.decode(told)["error"]["message"]


def listed(kept, query=""):
    status, body = dialect.tell("GET", f"{kept.id}/input_items", query, kept.data)
    assert status == 200
    return json.decode(body)


def test_listing_a_text():
    kept = answered(head(input="hi"))
    page = listed(kept)
    ResponseItemList.model_validate(page)
    (item,) = page["data"]
    assert item == {
        "id": page["first_id"],
        "type": "message",
        "role": "user",
        "status": "completed",
        "content": [{"type": "input_text", "text": "hi"}],
    }
    assert page["has_more"] is False


def test_listing_items_by_pages():
    given = [{"role": "user", "content": str(number)} for number in range(25)]
    kept = answered(
        head(input=[*given, {"role": "assistant", "content": "ho"}, {"type": "later", "id": "x_1"}])
    )
    page = listed(kept)
    assert (len(page["data"]), page["has_more"], page["first_id"]) == (20, True, "x_1")
    assert page["data"][1]["content"] == [{"type": "output_text", "text": "ho", "annotations": []}]
    rest = listed(kept, f"after={page['last_id']}&limit=100&order=desc")
    assert [item["content"][0]["text"] for item in rest["data"]] == ["6", "5", "4", "3", "2", "1", "0"]
    assert rest["has_more"] is False
    assert listed(kept, "order=asc&limit=1")["data"][0]["content"][0]["text"] == "0"


@pytest.mark.parametrize(
    ("query", "status"),
    [("order=up", 400), ("limit=0", 400), ("limit=x", 400), ("limit=101", 400), ("after=x", 404)],
)
def test_pages_that_there_are_not(query, status):
    kept = answered(head(input="hi"))
    assert dialect.tell("GET", f"{kept.id}/input_items", query, kept.data)[0] == status


def test_thoughts_of_another_provider_never_reach_a_provider_of_this_dialect():
    items = [
        {"role": "user", "content": "a"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "archflow1.abc"},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAA"},
        {"role": "user", "content": "what is archflow1.?"},
    ]
    sent = json.decode(dialect.encode_head(head(input=items, tools=[]), "m"))
    assert sent["input"] == [items[0], *items[2:]]
    plain = head(input=items[2:])
    assert dialect.encode_head(plain, "m") == plain.body
