from compiling import MODEL, codes, compiled, graph


def listeners(text):
    return [(one.name, one.type, one.address, one.port, one.timeout) for one in graph(text).listeners]


def test_ports_by_type():
    found = listeners(
        "version: v0.4.0\nlisteners: [{name: a, type: model}, {name: b, type: prompt}]\n" + MODEL
    )
    assert found == [("a", "model", "0.0.0.0", 12000, 300.0), ("b", "prompt", "0.0.0.0", 10000, 300.0)]


def test_without_any_listener_there_is_the_egress_one():
    assert listeners("version: v0.4.0\nlisteners: []\n" + MODEL) == [
        ("egress_traffic", "model", "0.0.0.0", 12000, 300.0)
    ]


def test_a_prompt_listener_alone_stays_alone():
    assert [
        one[0] for one in listeners("version: v0.4.0\nlisteners: [{name: b, type: prompt}]\n" + MODEL)
    ] == ["b"]


def test_a_refused_listener_is_not_replaced():
    outcome = compiled("version: v0.4.0\nlisteners: [{name: 3, type: model}]\n" + MODEL)
    assert codes(outcome) == ["wrong-type"]
    assert outcome.unit.config.listeners == ()
