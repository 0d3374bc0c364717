"""Everyday prompts before the scorer that ships: what users of routing preferences and prompt targets write and expect.

No sentence and no description here was learned from. Where a share is asked for instead of every prompt, it is what an
encoder of this size can do; most of the rest goes to the default model.
"""

import pytest

from archflow_plugins.choosing.compiled import ROUTER_THRESHOLD, THRESHOLD
from archflow_plugins.contexts import Option
from choosing_world import find

GENERATION = Option(
    name="code generation",
    description="generating new code snippets, functions, or boilerplate based on user prompts or requirements",
)
UNDERSTANDING = Option(
    name="code understanding",
    description="understand and explain existing code snippets, functions, or libraries",
)
"""The preferences of Arch's README."""
CODE = (UNDERSTANDING, GENERATION)
STORIES = Option(name="story writing", description="writing stories, poems and other fiction")
TRANSLATION = Option(name="translation", description="translate text from one language to another")
MATHS = Option(name="maths", description="mathematical problems and calculations")
SUMMARIES = Option(name="summaries", description="summarising articles and documents")
TALK = Option(name="small talk", description="casual conversation and greetings")
WEATHER = Option(name="get_weather", description="Get the current weather for a city")
REBOOT = Option(
    name="reboot_devices",
    description="Reboot specific devices or device groups, with an option to specify a time range for scheduling.",
)
RATES = Option(name="currency_exchange", description="Get the exchange rate between two currencies")

WRITE = (
    "write a function in Rust",
    "write a python script that downloads a web page",
    "implement quicksort in Go",
    "create a React component for a login form",
    "generate a SQL query that finds duplicate rows",
    "I need a regex that matches email addresses",
    "build me a REST API in Flask",
    "code a snake game in javascript",
    "give me boilerplate for a C++ class",
    "make a bash script that renames files",
    "write unit tests for a date parser",
    "can you program a calculator in Java",
)
EXPLAIN = (
    "what does this code do: for i in range(10): print(i * i)",
    "explain this function to me",
    "can you walk me through this regex: ^[a-z]+$",
    "what is the time complexity of this algorithm",
    "how does the useEffect hook work in this component",
    "why is there a yield in this method",
    "what is the purpose of this decorator",
    "explain how this SQL query works",
    "help me understand this piece of legacy code",
    "what does malloc do in this snippet",
    "explain what the pandas library is for",
)
TALES = (
    "tell me a story about a dragon",
    "write a poem about autumn",
    "a fairy tale for my son",
    "invent a short story set on Mars",
    "write a sad poem",
    "continue the tale of the knight",
    "compose a sonnet",
    "write a ghost story",
)
RAIN = (
    "will it rain in Lisbon",
    "what's the weather like in Paris",
    "how cold is it in Oslo",
    "is it sunny in Rome today",
    "weather Berlin",
    "do I need an umbrella in London tomorrow",
)
RESTART = (
    "reboot device 12",
    "restart all routers in group A",
    "please reboot the switches tonight",
    "can you restart my devices",
)
MONEY = (
    "how much is a dollar in euros",
    "convert 50 pounds to yen",
    "what is the exchange rate of the franc",
    "EUR to USD",
)
TONGUES = (
    "translate good morning into Spanish",
    "how do you say cheese in French",
    "what does danke mean in English",
    "put this into Italian: I am hungry",
)
SUMS = ("what is 17 times 23", "solve 3x + 5 = 20", "integrate x squared", "what's the square root of 81")
SHORT = ("summarise this article about climate change", "give me the short version of this text")
HELLO = ("how are you", "hi there", "good evening, nice to see you", "what's up")
ELSE = (
    "what is the capital of France",
    "tell me a joke",
    "recommend a restaurant in Rome",
    "who won the world cup in 2018",
    "what should I cook tonight",
    "I feel sad today",
    "plan a trip to Japan",
    "write an email to my landlord",
    "explain the causes of the first world war",
)
SAID = {
    GENERATION: WRITE,
    UNDERSTANDING: EXPLAIN,
    STORIES: TALES,
    WEATHER: RAIN,
    REBOOT: RESTART,
    RATES: MONEY,
    TRANSLATION: TONGUES,
    MATHS: SUMS,
    SUMMARIES: SHORT,
    TALK: HELLO,
}


def chosen(text: str, options: tuple[Option, ...], threshold: float = ROUTER_THRESHOLD) -> str:
    found = find(text, options=options)
    return options[found.options[0]].name if found.confidence >= threshold else ""


def share(texts: tuple[str, ...], options: tuple[Option, ...], name: str, threshold: float) -> float:
    return sum(chosen(text, options, threshold) == name for text in texts) / len(texts)


def test_a_function_in_rust_is_code_generation():
    assert chosen("write a function in Rust", CODE) == GENERATION.name
    assert chosen("write a function in Rust", (GENERATION,)) == GENERATION.name


@pytest.mark.parametrize(
    ("option", "said", "least"), [(GENERATION, WRITE, 0.65), (UNDERSTANDING, EXPLAIN, 0.9)]
)
def test_most_of_what_is_asked_about_code_goes_where_arch_s_readme_sends_it(option, said, least):
    assert share(said, CODE, option.name, ROUTER_THRESHOLD) >= least


@pytest.mark.parametrize("text", [*ELSE, *TALES, *RAIN, *MONEY, *TONGUES, *HELLO])
def test_what_is_not_about_code_goes_to_the_default_model(text):
    assert chosen(text, CODE) == ""


@pytest.mark.parametrize("option", [*SAID], ids=lambda option: option.name)
def test_a_single_option_is_chosen_where_it_is_asked_for(option):
    assert share(SAID[option], (option,), option.name, ROUTER_THRESHOLD) >= 0.8


@pytest.mark.parametrize("option", [*SAID], ids=lambda option: option.name)
def test_a_single_option_is_left_alone_by_everything_else(option):
    code = {GENERATION, UNDERSTANDING}
    near = code if option in code else {option}
    other = tuple(text for one, texts in SAID.items() if one not in near for text in texts)
    assert share((*other, *ELSE), (option,), "", ROUTER_THRESHOLD) >= 0.93


@pytest.mark.parametrize("option", [WEATHER, REBOOT, RATES], ids=lambda option: option.name)
def test_a_single_prompt_target_is_matched_by_what_it_is_for_and_by_nothing_else(option):
    assert share(SAID[option], (option,), option.name, THRESHOLD) == 1
    other = tuple(text for one, texts in SAID.items() if one is not option for text in texts)
    assert share((*other, *ELSE), (option,), "", THRESHOLD) >= 0.98


def test_seven_everyday_preferences_are_told_apart():
    options = (GENERATION, UNDERSTANDING, STORIES, TRANSLATION, MATHS, SUMMARIES, TALK)
    hits = [chosen(text, options) == one.name for one in options for text in SAID[one]]
    assert sum(hits) / len(hits) >= 0.85
    assert sum(chosen(text, options) == "" for text in (*RAIN, *RESTART, *MONEY)) >= 12


FURTHER = ("and in Rome?", "what about London?", "and tomorrow?", "Rome", "in celsius please", "for 3 days")
TARGETS = (WEATHER, REBOOT, RATES)


@pytest.mark.parametrize("options", [(WEATHER,), TARGETS], ids=["one", "three"])
@pytest.mark.parametrize(
    "text", ["tell me a joke", "write a function in Rust", "who are you?", "who won the world cup in 2018"]
)
def test_a_request_for_something_else_does_not_stay_with_the_target_before(text, options):
    found = find("what's the weather like in Paris", text, options=options)
    assert found.confidence < ROUTER_THRESHOLD


def test_most_requests_for_something_else_right_after_a_call_are_left_alone():
    left, asked = 0, 0
    for options, before in (((WEATHER,), WEATHER), ((RATES,), RATES), *((TARGETS, one) for one in TARGETS)):
        for text in (*ELSE, *(text for one, texts in SAID.items() if one not in options for text in texts)):
            found = find(SAID[before][1], text, options=options)
            left, asked = left + (found.confidence < THRESHOLD), asked + 1
    assert asked == 288
    assert left / asked >= 0.65


@pytest.mark.parametrize("text", FURTHER)
def test_a_follow_up_stays_with_the_target_before(text):
    found = find("what's the weather like in Paris", text, options=TARGETS)
    assert TARGETS[found.options[0]] == WEATHER
    assert found.confidence >= THRESHOLD


@pytest.mark.parametrize(
    ("before", "now", "option"),
    [
        ("write a function in Rust", "tell me a story about a dragon", STORIES),
        ("tell me a story about a dragon", "create a React component for a login form", GENERATION),
        ("translate good morning into Spanish", "solve 3x + 5 = 20", MATHS),
        ("how are you", "translate good morning into Spanish", TRANSLATION),
    ],
)
def test_a_short_request_right_after_another_topic_is_followed(before, now, option):
    options = (GENERATION, UNDERSTANDING, STORIES, TRANSLATION, MATHS, SUMMARIES, TALK)
    found = find(before, now, options=options)
    assert options[found.options[0]] == option
    assert found.confidence >= ROUTER_THRESHOLD
