from archflow_compiler.suggest import close, did_you_mean, listed


def test_close_names_come_first_and_case_does_not_matter():
    assert close("GPT-4O", ["gpt-4o-mini", "claude", "gpt-4o"])[0] == "gpt-4o"


def test_nothing_close_says_nothing():
    assert did_you_mean("zebra", ["gpt-4o"]) == ""


def test_alternatives_are_quoted():
    assert did_you_mean("prot", ["port", "router"]) == 'did you mean "port" or "router"?'


def test_long_lists_are_cut():
    assert listed("abc") == "a, b, c"
    assert listed(map(str, range(10)), 3) == "0, 1, 2 and 7 more"
    assert listed([]) == "none"
