"""The way of one request in words."""

from archflow_compiler.explain.followed import text
from archflow_plugins.deciding.offline import Step, Walk


def test_every_node_with_its_edge_and_every_score():
    walk = Walk(
        listener="llm",
        steps=(
            Step(node="asked llm", type="route", outcome="choose", why="left to the router"),
            Step(
                node="choose llm",
                type="choose",
                outcome="model:a",
                why="router.x finds code (similar, confidence 0.93)",
                scores=(("code", 0.931), ("story", 0.1)),
            ),
            Step(node="dispatch a", type="dispatch", why="asks a for a-1"),
        ),
        model="a",
        models=("a", "b", "c"),
    )
    assert text(walk) == (
        "listener llm\n"
        "asked llm: left to the router -> choose\n"
        "choose llm: router.x finds code (similar, confidence 0.93) -> model:a\n"
        "  code   0.931\n"
        "  story  0.1\n"
        "dispatch a: asks a for a-1\n"
        "if its upstream refuses: b, c\n"
    )


def test_of_many_scores_the_best():
    step = Step(node="n", type="choose", why="w", scores=tuple((f"r{n}", 1.0) for n in range(25)))
    assert text(Walk(listener="l", steps=(step,))).endswith("  r9  1\n  and 15 more\n")
