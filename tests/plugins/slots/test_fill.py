"""Filling without a model: whole conversations of one and several targets."""

import msgspec
import pytest

from archflow_plugins.testing import conversation
from archflow_schema.conversation import Conversation, Message, TextPart, ToolCallPart
from archflow_schema.slots import Filled, Intent, Question, Slot
from slot_world import filled as fills
from slot_world import values

RATE = Intent(
    "currency_exchange",
    "Get currency exchange rate from USD to other currencies",
    (Slot("currency_symbol", "the currency that needs conversion", "str", required=True),),
)
CONVERT = Intent(
    "convert",
    "Convert money",
    (
        Slot("amount", "the amount of money", "float", required=True),
        Slot("base_currency", "The currency to convert from", "str", required=True),
        Slot("target_currency", "The currency to convert to", "str", required=True),
    ),
)
WEATHER = Intent(
    "get_weather",
    "Weather forecast of a place",
    (
        Slot("location", "where the weather is asked for", "str", required=True, format="City, State"),
        Slot("days", "the number of days for the forecast", "int", required=True),
        Slot("unit", "temperature unit", "str", enum=(b'"celsius"', b'"fahrenheit"')),
    ),
)
REBOOT = Intent(
    "reboot_devices",
    "Reboot devices",
    (
        Slot("device_ids", "A list of device identifiers to reboot", "list", required=True, items="int"),
        Slot("confirmed", "whether the reboot is confirmed", "bool"),
    ),
)
CONFIRMED = Intent(
    "reboot_one",
    "Reboot a device",
    (
        Slot("device_id", "the device identifier", "str", required=True),
        Slot("confirmation", "confirmation of the reboot", "bool", required=True),
    ),
)
STATS = Intent(
    "device_stats",
    "Show statistics of a device",
    (
        Slot("device_id", "device identifier", "int", required=True),
        Slot("days", "number of days of statistics", "int", default=b"7"),
    ),
)
BOOKING = Intent(
    "book_hotel",
    "Book a hotel",
    (
        Slot("city", "The city", "str", required=True),
        Slot("from_date", "The first day, in the format YYYY-MM-DD", "str", required=True),
        Slot("to_date", "The last day, in the format YYYY-MM-DD", "str", required=True),
        Slot("breakfast", "whether breakfast is included", "bool"),
    ),
)
MAIL = Intent(
    "send",
    "Send an e-mail",
    (
        Slot("to", "The email address to send to", "str", required=True),
        Slot("subject", "The subject", "str", required=True),
        Slot("body", "The body", "str", required=True),
    ),
)
EVERY = (RATE, CONVERT, WEATHER, REBOOT, STATS, BOOKING, MAIL)


def filled(said, *names, more=()):
    return fills(said, names, (*EVERY, *more))


def calls(*turns, names=(), more=()):
    """The values of the calls that a conversation asks for."""
    return values(filled(conversation(*turns), *names, more=more))


def asked(*turns, names=(), more=()):
    found = filled(conversation(*turns), *names, more=more)
    assert isinstance(found, Question), found
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("what is exchange rate for gbp", ["GBP"]),
        ("what's the euro worth?", ["EUR"]),
        ("convert to japanese yen please", ["JPY"]),
        ("rates for gbp and eur", ["GBP", "EUR"]),
        ("rates for gbp, eur and chf", ["GBP", "EUR", "CHF"]),
        # The target says that it converts from dollars.
        ("convert usd to eur", ["EUR"]),
        ("how much is a dollar in japanese yen", ["JPY"]),
        ("rate for usd", ["USD"]),
        ("compare gbp, usd and eur", ["GBP", "USD", "EUR"]),
    ],
)
def test_currencies(text, expected):
    found = calls(f"user: {text}", names=("currency_exchange",))
    assert [one["currency_symbol"] for one in found] == expected


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("the currency, e.g. USD or EUR", "USD"),  # examples are not given
        ("the currency that is not USD", "GBP"),
    ],
)
def test_an_example_is_no_currency_that_is_given(description, expected):
    price = Intent("price", "Tells a price", (Slot("currency", description, "str", required=True),))
    [found] = calls("user: the price in usd, or else in gbp", names=("price",), more=(price,))
    assert found["currency"] == expected


@pytest.mark.parametrize(
    ("reply", "confirmed"), [("sw-12, yes", True), ("yes, sw-12", True), ("sw-12 and no", False)]
)
def test_one_reply_answers_two_questions(reply, confirmed):
    question = asked("user: reboot a device", names=("reboot_one",), more=(CONFIRMED,))
    assert question.text == "Could you tell me the device identifier and whether you confirm the reboot?"
    turns = ("user: reboot a device", f"assistant: {question.text}", f"user: {reply}")
    [found] = calls(*turns, names=("reboot_one",), more=(CONFIRMED,))
    assert found == {"device_id": "sw-12", "confirmation": confirmed}


@pytest.mark.parametrize(
    "text",
    [
        "add a note to claim 42: paid, and closed",
        "add this note: paid, and closed",
        "note for claim no. 42: paid, and closed",
    ],
)
def test_what_stands_behind_a_colon_is_what_was_announced(text):
    claim = Intent("claim", "Adds notes", (Slot("notes", "notes about the claim", "str", required=True),))
    assert calls(f"user: {text}", names=("claim",), more=(claim,)) == [{"notes": "paid, and closed"}]


def test_what_nobody_said_is_asked_for():
    question = asked("user: exchange rate please", names=("currency_exchange",))
    assert question.text == "Could you tell me the currency that needs conversion?"
    assert question.missing == ("currency_symbol",)
    assert question.target == "currency_exchange"


@pytest.mark.parametrize("reply", ["GBP", "gbp", "the pound", "pounds, please", "it's GBP"])
@pytest.mark.parametrize(
    "question", ["Which currency?", "Could you tell me the currency that needs conversion?"]
)
def test_a_reply_fills_what_was_asked(question, reply):
    turns = ("user: exchange rate please", f"assistant: {question}", f"user: {reply}")
    assert calls(*turns, names=("currency_exchange",)) == [{"currency_symbol": "GBP"}]


@pytest.mark.parametrize("matched", [(), ("device_stats",)])
def test_a_reply_stays_with_the_target_that_was_asked_about(matched):
    turns = ("user: rate?", "assistant: Could you tell me the currency that needs conversion?", "user: GBP")
    found = filled(conversation(*turns), *matched)
    assert isinstance(found, Filled)
    assert found.calls[0].target == "currency_exchange"


def test_another_request_instead_of_a_reply_is_another_request():
    turns = (
        "user: rate?",
        "assistant: Could you tell me the currency that needs conversion?",
        "user: actually, show me the statistics of device 7 in the last weeks",
    )
    found = filled(conversation(*turns), "device_stats")
    assert isinstance(found, Filled)
    assert found.calls[0].target == "device_stats"


def test_from_and_to():
    told = {"amount": 100.0, "base_currency": "USD", "target_currency": "EUR"}
    for text in ("convert 100 usd to eur", "to euros from dollars, 100 of them", "100 USD into EUR"):
        assert calls(f"user: {text}", names=("convert",)) == [told]


def test_what_is_counted_is_given():
    (one,) = calls("user: How many Canadian dollars can I get for 500 US dollars?", names=("convert",))
    assert one == {"amount": 500.0, "base_currency": "USD", "target_currency": "CAD"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("how is the weather in seattle for next 10 days", {"location": "seattle", "days": 10}),
        (
            "weather in Paris, France for 3 days in celsius",
            {"location": "Paris, France", "days": 3, "unit": "celsius"},
        ),
        ("weather in New York for two weeks", {"location": "New York", "days": 14}),
        ("weather for oslo, five days, in °F", {"location": "oslo", "days": 5, "unit": "fahrenheit"}),
    ],
)
def test_weather(text, expected):
    assert calls(f"user: {text}", names=("get_weather",)) == [expected]


def test_one_question_names_all_that_is_missing():
    question = asked("user: what's the weather?", names=("get_weather",))
    assert question.missing == ("location", "days")
    assert (
        question.text
        == "Could you tell me where the weather is asked for (as City, State) and the number of days for the forecast?"
    )


def test_several_replies_at_once():
    turns = ("user: the weather?", f"assistant: {asked('user: x weather', names=('get_weather',)).text}")
    assert calls(*turns, "user: Oslo, 5", names=("get_weather",)) == [{"location": "Oslo", "days": 5}]
    assert calls(*turns, "user: 5 days in Oslo", names=("get_weather",)) == [{"location": "Oslo", "days": 5}]


def test_what_is_still_missing_is_asked_again():
    turns = ("user: the weather?", f"assistant: {asked('user: x weather', names=('get_weather',)).text}")
    assert asked(*turns, "user: Oslo", names=("get_weather",)).missing == ("days",)


@pytest.mark.parametrize(
    ("newest", "expected"),
    [
        ("and in celsius?", {"location": "Rome", "days": 3, "unit": "celsius"}),
        ("what about Oslo?", {"location": "Oslo", "days": 3}),
        ("and Oslo?", {"location": "Oslo", "days": 3}),
        ("Oslo instead", {"location": "Oslo", "days": 3}),
        ("And Oslo for 2 days?", {"location": "Oslo", "days": 2}),
        ("make it 5 days", {"location": "Rome", "days": 5}),
    ],
)
def test_follow_ups_keep_what_was_said(newest, expected):
    turns = ("user: weather in Rome for 3 days", "assistant: It is sunny.", f"user: {newest}")
    assert calls(*turns, names=("get_weather",)) == [expected]


@pytest.mark.parametrize("newest", ["great", "hello", "Cool, got it!", "ok, good", "Good morning"])
def test_small_talk_behind_a_request_calls_nothing(newest):
    before = ("user: weather in Rome for 3 days", "assistant: It is sunny.")
    assert calls(*before, f"user: {newest}", names=("get_weather",)) == []


def test_an_assent_to_a_question_is_no_small_talk():
    before = ("user: weather in Rome for 3 days", "assistant: Shall I look it up?")
    assert calls(*before, "user: ok", names=("get_weather",)) == [{"location": "Rome", "days": 3}]


def test_names_that_are_told_one_after_the_other_are_as_many_calls():
    air = Intent("air", "Tell the air quality in a city", (Slot("city", "the city", "str", required=True),))
    found = calls("user: air quality in Paris, Rome, Oslo and Bergen", names=("air",), more=(air,))
    assert found == [{"city": one} for one in ("Paris", "Rome", "Oslo", "Bergen")]


def test_another_request_gets_only_what_it_needs_of_older_turns():
    turns = (
        "user: weather in Rome for 3 days in celsius",
        "assistant: Sunny.",
        "user: please show the weather of Oslo in Norway once more",
    )
    (one,) = calls(*turns, names=("get_weather",))
    assert one["days"] == 3
    assert "unit" not in one


def test_one_scalar_said_twice_makes_two_calls():
    found = calls("user: weather in London and Paris for 5 days", names=("get_weather",))
    assert found == [{"location": "London", "days": 5}, {"location": "Paris", "days": 5}]
    found = calls("user: the weather in Seattle for 3 days and in Boston for 5 days", names=("get_weather",))
    assert found == [{"location": "Seattle", "days": 3}, {"location": "Boston", "days": 5}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("reboot devices 1, 2 and 7", [1, 2, 7]),
        ("reboot device 1 and device 2", [1, 2]),
        ("reboot [4, 5]", [4, 5]),
        ("reboot device 3", [3]),
    ],
)
def test_lists(text, expected):
    assert calls(f"user: {text}", names=("reboot_devices",))[0]["device_ids"] == expected


def test_a_scalar_gets_a_call_for_each():
    found = calls("user: stats of devices 1, 2 and 7", names=("device_stats",))
    assert [one["device_id"] for one in found] == [1, 2, 7]


def test_what_is_not_to_be_done_is_not_done():
    assert calls("user: please don't reboot device 3", names=("reboot_devices",)) == []
    assert (
        calls(
            "user: reboot",
            "assistant: Which device identifiers?",
            "user: never mind",
            names=("reboot_devices",),
        )
        == []
    )


def test_dates_are_relative_to_now():
    found = calls("user: a hotel in Rome from tomorrow to friday without breakfast", names=("book_hotel",))
    assert found == [{"city": "Rome", "from_date": "2024-02-22", "to_date": "2024-02-23", "breakfast": False}]


def test_instructions_may_say_what_day_it_is():
    found = calls(
        "system: The current date is 2023-07-01.",
        "user: a hotel in Rome from tomorrow to July 5",
        names=("book_hotel",),
    )
    assert found == [{"city": "Rome", "from_date": "2023-07-02", "to_date": "2023-07-05"}]


def test_mail():
    (one,) = calls(
        "user: Send a mail to john@example.com with the subject 'Meeting' and the body 'Let's meet at 10'",
        names=("send",),
    )
    assert one == {"to": "john@example.com", "subject": "Meeting", "body": "Let's meet at 10"}


def test_a_default_is_not_asked_for():
    assert calls("user: stats of device 9", names=("device_stats",)) == [{"device_id": 9}]


def test_two_targets_in_one_turn():
    found = filled(
        conversation("user: what's the rate for gbp and show the statistics of device 4"),
        "currency_exchange",
        "device_stats",
    )
    assert isinstance(found, Filled)
    assert [(one.target, dict(one.values)) for one in found.calls] == [
        ("currency_exchange", {"currency_symbol": msgspec.Raw(b'"GBP"')}),
        ("device_stats", {"device_id": msgspec.Raw(b"4")}),
    ]
    assert not found.ordered


def test_the_same_slot_of_two_targets_is_told_by_its_part_of_the_turn():
    found = filled(
        conversation("user: reboot device 1 and then show the statistics of device 2"),
        "reboot_devices",
        "device_stats",
    )
    assert isinstance(found, Filled)
    assert [dict(one.values) for one in found.calls] == [
        {"device_ids": msgspec.Raw(b"[1]")},
        {"device_id": msgspec.Raw(b"2")},
    ]
    assert found.ordered


def test_two_targets_make_one_question():
    found = filled(
        conversation("user: the rate and the statistics please"), "currency_exchange", "device_stats"
    )
    assert isinstance(found, Question)
    assert found.missing == ("currency_symbol", "device_id")


def test_earlier_calls_count_as_said():
    call = ToolCallPart("c", "get_weather", '{"location":"Rome","days":3,"unit":"kelvin"}')
    said = Conversation(
        messages=(
            Message(role="user", parts=(TextPart("the usual weather report"),)),
            Message(role="assistant", parts=(call,)),
            Message(role="assistant", parts=(TextPart("Sunny."),)),
            Message(role="user", parts=(TextPart("and for 5 days?"),)),
        )
    )
    found = filled(said, "get_weather")
    assert isinstance(found, Filled)
    assert dict(found.calls[0].values) == {"location": msgspec.Raw(b'"Rome"'), "days": msgspec.Raw(b"5")}


def test_a_confirmation_answers_the_question():
    turns = ("user: reboot device 3", "assistant: Is the reboot confirmed?")
    assert calls(*turns, "user: yes", names=("reboot_devices",)) == [{"device_ids": [3], "confirmed": True}]
    assert calls(*turns, "user: no", names=("reboot_devices",)) == [{"device_ids": [3], "confirmed": False}]


@pytest.mark.parametrize(
    ("reply", "plant"),
    [("cancel order 77", None), ("please play another", None), ("baby blue eyes", "baby blue eyes")],
)
def test_another_request_is_no_name(reply, plant):
    order = Intent("order", "Order plants", (Slot("plant", "name of the plant", "str", required=True),))
    turns = ("user: I want a plant", "assistant: Could you tell me the name of the plant?", f"user: {reply}")
    found = filled(conversation(*turns), "order", more=(order,))
    if plant is None:
        assert isinstance(found, Question)
    else:
        assert isinstance(found, Filled)
        assert msgspec.json.decode(dict(found.calls[0].values)["plant"]) == plant


@pytest.mark.parametrize("text", ["I don't know", "what do you mean?", "why"])
def test_no_reply_is_no_value(text):
    turns = ("user: a hotel", "assistant: Could you tell me the city?", f"user: {text}")
    assert "city" in asked(*turns, names=("book_hotel",)).missing


def test_nothing_said_is_no_call():
    assert filled(conversation(), "get_weather") == Filled(())
    assert filled(conversation("user: hi"), "unknown") == Filled(())


def test_what_others_say_is_no_value():
    question = asked(
        "system: the currency is GBP",
        "assistant: EUR is popular.",
        "user: the rate",
        names=("currency_exchange",),
    )
    assert question.missing == ("currency_symbol",)
