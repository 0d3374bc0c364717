"""Loading plugins: what is found, and every way in which it goes wrong."""

import re
import subprocess
import sys

import pytest
from msgspec import structs

from archflow_plugins import hookspecs, kinds
from archflow_plugins.registry import REGISTRATION, Registry, installed
from archflow_schema.diagnostic import Report
from archflow_schema.errors import KindConflict, KindMissing, PluginChanged, PluginError, PluginMissing
from archflow_schema.graph import Graph
from fake_plugins import guard

EMPTY = Graph(source="", listeners=(), nodes=(), upstreams=())


def test_built_ins_come_by_their_entry_point():
    registry = Registry.load()
    assert registry.names == ("archflow",)
    assert registry.owner("store.memory") == "archflow"
    assert list(registry.family("dialect")) == [
        "dialect.anthropic_count_tokens",
        "dialect.anthropic_messages",
        "dialect.bedrock_converse",
        "dialect.gemini",
        "dialect.openai_chat",
        "dialect.openai_completions",
        "dialect.openai_embeddings",
        "dialect.openai_responses",
    ]


def test_every_family_has_its_registration_hook():
    assert set(REGISTRATION) == set(kinds.KINDS)
    hooks = {name for name in vars(hookspecs) if name.startswith("archflow_register_")}
    assert set(REGISTRATION.values()) == hooks


def test_loading_built_ins_imports_nothing_heavy():
    heavy = "opentelemetry numpy ctranslate2 faiss requests trio structlog hypercorn ruamel"
    code = (
        "import sys; from archflow_plugins.registry import Registry; Registry.load();"
        f"print([name for name in {heavy!r}.split() if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_built_in_kind_is_imported_when_it_is_named():
    code = (
        "import sys; from archflow_plugins.registry import Registry; registry = Registry.load();"
        "seen = lambda: sorted(name for name in sys.modules if name.startswith('archflow_plugins.guards.'));"
        "print(*seen()); registry.kind('guard.http'); print(*seen())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = done.stdout.splitlines()
    assert before == ""
    assert "archflow_plugins.guards.external" in after.split()
    others = ("jailbreak", "json_schema", "length", "mcp", "pii", "regex", "topic")
    assert not {f"archflow_plugins.guards.{name}" for name in others} & set(after.split())


LATER = """
from archflow_plugins import Guard, Later, Verdict, hookimpl

class There(Guard):
    kind = "guard.there"

    def check_nowait(self, conversation):
        return Verdict(allow=True)

class Other(Guard):
    kind = "guard.other"

@hookimpl
def archflow_register_guards():
    return [Later({kind!r}, {place!r})]
"""


def later(kind: str, place: str) -> str:
    return LATER.format(kind=kind, place=place)


def test_a_kind_may_be_offered_for_later(install):
    install("archflow-test-a", later("guard.there", "archflow_test_a:There"), a="archflow_test_a")
    registry = Registry.load(["a"])
    assert registry.owner("guard.there") == "a"
    assert registry.kind("guard.there").kind == "guard.there"
    assert registry.family("guard")["guard.there"] is registry.kind("guard.there")


@pytest.mark.parametrize(
    ("kind", "place", "told"),
    [
        ("store.there", "archflow_test_a:There", "whose `kind` is 'store.there'"),
        ("guard", "archflow_test_a:There", "whose `kind` is 'guard'"),
        ("guard.there", "archflow_test_a", "whose `place` is 'archflow_test_a': make it `module:Name`"),
        ("guard.there", "", "whose `place` is ''"),
    ],
)
def test_an_offer_for_later_that_cannot_be_right(install, kind, place, told):
    install("archflow-test-a", later(kind, place), a="archflow_test_a")
    with pytest.raises(PluginError, match=re.escape(told)):
        Registry.load(["a"])


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("archflow_test_a:Nowhere", "cannot be imported: AttributeError"),
        ("archflow_test_nowhere:There", "cannot be imported: ModuleNotFoundError"),
        ("archflow_test_a:Other", "whose `kind` is guard.other"),
        ("archflow_test_a:Later", "which does not derive from archflow_plugins.Guard"),
    ],
)
def test_what_was_offered_for_later_is_not_there(install, place, told):
    install("archflow-test-a", later("guard.there", place), a="archflow_test_a")
    registry = Registry.load(["a"])
    with pytest.raises(PluginError, match=re.escape(told)) as error:
        registry.kind("guard.there")
    assert f"the plugin a (archflow-test-a 1.0) offers guard.there at {place}, " in str(error.value)


def test_named_plugin_is_loaded_and_others_are_not_imported(install):
    install("archflow-test-a", guard("guard.a"), a="archflow_test_a")
    install("archflow-test-b", "raise RuntimeError('must not be imported')", b="archflow_test_b")
    registry = Registry.load(["a"])
    assert registry.kind("guard.a").kind == "guard.a"
    assert registry.names == ("archflow", "a")
    assert "archflow_test_b" not in sys.modules


def test_installed_lists_without_importing(install):
    install(
        "archflow-test-b", "raise RuntimeError('must not be imported')", b="archflow_test_b", version="2.1"
    )
    found = {plugin.entry_point: plugin for plugin in installed()}
    assert (found["b"].distribution, found["b"].version, found["b"].summary) == (
        "archflow-test-b",
        "2.1",
        "a test",
    )
    assert found["archflow"].module == "archflow_plugins.builtins"
    assert "archflow_test_b" not in sys.modules


def test_missing_plugin_names_the_close_one_and_how_to_install(install):
    install("archflow-test-length", guard(), length="archflow_test_length")
    with pytest.raises(
        PluginMissing,
        match=r"plugin lenght is not installed: did you mean length.*pip install archflow-lenght",
    ):
        Registry.load(["lenght"])


def test_missing_kind_names_close_ones_and_what_is_not_loaded(install):
    install("archflow-test-a", guard(), other="archflow_test_a")
    with pytest.raises(KindMissing, match=r"store\.memmory: did you mean store\.memory.*not loaded: .*other"):
        Registry.load().kind("store.memmory")


def test_two_plugins_with_one_kind_are_both_named(install):
    install("archflow-test-a", guard("guard.same"), a="archflow_test_a")
    install("archflow-test-b", guard("guard.same"), b="archflow_test_b", version="3.0")
    with pytest.raises(
        KindConflict, match=r"guard\.same .*a \(archflow-test-a 1\.0\).*b \(archflow-test-b 3\.0\)"
    ):
        Registry.load(["a", "b"])


def test_conflict_with_a_built_in(install):
    source = guard("store.memory").replace("Guard, ALLOW", "Store as Guard").replace("ALLOW", "None")
    install("archflow-test-a", source.replace("register_guards", "register_stores"), a="archflow_test_a")
    with pytest.raises(
        KindConflict, match=r"store\.memory is offered by the plugin archflow .* and by the plugin a "
    ):
        Registry.load(["a"])


def test_two_distributions_with_one_entry_point(install):
    install("archflow-test-a", guard("guard.a"), same="archflow_test_a")
    install("archflow-test-b", guard("guard.b"), same="archflow_test_b")
    with pytest.raises(
        PluginError, match=r"plugin same is offered by archflow-test-. 1\.0 and archflow-test-. 1\.0"
    ):
        Registry.load(["same"])


def test_one_module_under_two_names(install):
    install("archflow-test-a", guard(), a="archflow_test_a", b="archflow_test_a")
    with pytest.raises(PluginError, match=r"plugins a .* and b .* are the same module, archflow_test_a"):
        Registry.load(["a", "b"])


def test_misspelt_hook(install):
    install("archflow-test-a", guard(hook="archflow_register_gaurds"), a="archflow_test_a")
    with pytest.raises(PluginError, match=r"archflow_register_gaurds: did you mean archflow_register_guards"):
        Registry.load(["a"])


def test_hook_without_its_mark(install):
    install("archflow-test-a", guard().replace("@hookimpl", ""), a="archflow_test_a")
    with pytest.raises(
        PluginError, match=r"archflow_register_guards .* is not marked: put @archflow_plugins\.hookimpl"
    ):
        Registry.load(["a"])


def test_module_without_hooks(install):
    install("archflow-test-a", "x = 1", a="archflow_test_a")
    with pytest.raises(PluginError, match="has no hook"):
        Registry.load(["a"])


def test_hook_with_an_argument_that_does_not_exist(install):
    install("archflow-test-a", guard().replace("guards()", "guards(config)"), a="archflow_test_a")
    with pytest.raises(PluginError, match="config"):
        Registry.load(["a"])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("return [Test]", "return Test"), "return a list of classes"),
        (("return [Test]", "return ['Test']"), "does not derive from archflow_plugins.Guard"),
        (("class Test(Guard)", "class Test"), "does not derive from archflow_plugins.Guard"),
        (("kind = 'guard.test'", "pass"), "give it a dotted name such as guard.test"),
        (("'guard.test'", "'test'"), "give it a dotted name such as guard.test"),
        (("'guard.test'", "'store.test'"), "give it a dotted name such as guard.test"),
        (("'guard.test'", "'guard.Test'"), "give it a dotted name such as guard.test"),
        (("kind = 'guard.test'", "kind = 'guard.test'; config = dict"), "make it a frozen msgspec.Struct"),
        (
            (
                "class Test(Guard):",
                "import msgspec\nclass C(msgspec.Struct): pass\nclass Test(Guard):\n    compiled = C",
            ),
            "`compiled` is archflow_test_a.C: make it a frozen",
        ),
        (("return [Test]", "raise OSError('disk')"), "failed in archflow_register_guards: OSError: disk"),
        (("return [Test]", "return [Test"), "cannot be imported: archflow_test_a: SyntaxError"),
    ],
)
def test_a_broken_plugin_is_named_with_its_mistake(install, change, complaint):
    install("archflow-test-a", guard().replace(*change), a="archflow_test_a")
    with pytest.raises(PluginError, match=r"plugin a\b") as raised:
        Registry.load(["a"])
    assert complaint in str(raised.value)


def test_entry_point_that_is_no_module(install):
    module = install("archflow-test-a", guard(), a="archflow_test_a")
    points = next(module.parent.glob("*.dist-info")) / "entry_points.txt"
    points.write_text("[archflow]\na = archflow_test_a:Test\n")
    with pytest.raises(PluginError, match="is no module: name the module that holds its hooks"):
        Registry.load(["a"])


def test_requires_locks_only_what_is_used(install):
    install("archflow-test-a", guard("guard.a"), a="archflow_test_a")
    install("archflow-test-b", guard("guard.b"), b="archflow_test_b")
    registry = Registry.load(["b", "a"])
    built_in, lock = registry.requires(["store.memory", "guard.a", "dialect.openai_chat", "guard.a"])[::-1]
    assert built_in.kinds == ("dialect.openai_chat", "store.memory")
    assert (lock.entry_point, lock.distribution, lock.version, lock.kinds) == (
        "a",
        "archflow-test-a",
        "1.0",
        ("guard.a",),
    )
    assert len(lock.digest) == 64
    with pytest.raises(KindMissing):
        registry.requires(["guard.c"])


def test_provider_by_vendor_then_by_interface():
    registry = Registry.load()
    kind = registry.provider("groq")
    assert kind is not None
    assert kind.kind == "provider.openai_compatible"
    anthropic = registry.provider("somebody", "anthropic")
    assert anthropic is not None
    assert anthropic.kind == "provider.anthropic"
    assert registry.provider("somebody") is None


class TestForGraph:
    @pytest.fixture
    def locks(self, install):
        self.module = install("archflow-test-a", guard("guard.a"), a="archflow_test_a")
        return Registry.load(["a"]).requires(["guard.a", "store.memory"])

    def test_the_same_plugins_are_accepted(self, locks):
        registry = Registry.for_graph(locks)
        assert registry.drift == ()
        assert registry.kind("guard.a").kind == "guard.a"

    def test_another_version_is_refused_naming_both(self, locks):
        locks = tuple(
            structs.replace(lock, version="0.9") if lock.entry_point == "a" else lock for lock in locks
        )
        with pytest.raises(
            PluginChanged, match=r"compiled with archflow-test-a 0\.9 .* archflow-test-a 1\.0 is installed"
        ):
            Registry.for_graph(locks)

    def test_other_content_is_refused(self, locks):
        record = next(self.module.parent.glob("archflow_test_a*.dist-info")) / "RECORD"
        record.write_text(
            record.read_text().replace("archflow_test_a.py,sha256=", "archflow_test_a.py,sha256=X")
        )
        with pytest.raises(PluginChanged, match=r"other files of archflow-test-a 1\.0"):
            Registry.for_graph(locks)

    def test_any_accepts_and_tells(self, locks):
        locks = tuple(structs.replace(lock, version="0.9") for lock in locks)
        registry = Registry.for_graph(locks, "any")
        assert len(registry.drift) == 2
        assert "archflow-test-a 0.9" in " ".join(registry.drift)

    def test_verify_hashes_the_files_again(self, locks):
        locks = tuple(lock for lock in locks if lock.entry_point == "a")
        Registry.for_graph(locks, "verify")
        self.module.write_text(guard("guard.a") + "# changed\n")
        Registry.for_graph(locks, "locked")
        with pytest.raises(PluginChanged, match=r"archflow_test_a\.py was changed after it was installed"):
            Registry.for_graph(locks, "verify")

    def test_not_installed(self, locks):
        locks = tuple(structs.replace(lock, entry_point="gone") for lock in locks)
        lock = next(lock for lock in locks if lock.distribution == "archflow-test-a")
        told = f"plugin gone is not installed.*pip install archflow-test-a=={lock.version}`"
        with pytest.raises(PluginMissing, match=told):
            Registry.for_graph((lock,))

    def test_a_kind_that_the_plugin_no_longer_offers(self, locks):
        locks = tuple(structs.replace(lock, kinds=(*lock.kinds, "guard.gone")) for lock in locks)
        with pytest.raises(KindMissing, match=r"guard\.gone"):
            Registry.for_graph(locks)


class TestGraphVerified:
    RULE = """
from archflow_plugins import Diagnostic, hookimpl

@hookimpl
def archflow_graph_verified(graph, report):
    report.add(Diagnostic(code="our-rule", severity="error", summary=f"{len(graph.listeners)} listeners"))
"""

    def test_plugins_may_judge(self, install):
        install("archflow-test-a", self.RULE, a="archflow_test_a")
        report = Report()
        Registry.load(["a"]).graph_verified(EMPTY, report)
        assert [(one.code, one.summary) for one in report] == [("our-rule", "0 listeners")]

    def test_a_rule_with_fewer_arguments(self, install):
        source = self.RULE.replace("(graph, report)", "(report)").replace(
            "{len(graph.listeners)} listeners", "seen"
        )
        install("archflow-test-a", source, a="archflow_test_a")
        report = Report()
        Registry.load(["a"]).graph_verified(EMPTY, report)
        assert [one.summary for one in report] == ["seen"]

    def test_a_rule_that_raises_is_named(self, install):
        install("archflow-test-a", self.RULE.replace("report.add", "report.bad"), a="archflow_test_a")
        with pytest.raises(
            PluginError, match=r"plugin a \(archflow-test-a 1\.0\) failed in archflow_graph_verified"
        ):
            Registry.load(["a"]).graph_verified(EMPTY, Report())
