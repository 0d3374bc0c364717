"""The digest of a distribution: the same for the same wheel, another for other files."""

from importlib import metadata

import pytest

from archflow_plugins.lock import digest, is_editable, tampered
from fake_plugins import guard


@pytest.fixture
def distribution(install):
    module = install("archflow-test-a", guard(), a="archflow_test_a")
    return metadata.distribution("archflow-test-a"), module


def rewrite(module, change):
    record = next(module.parent.glob("*.dist-info")) / "RECORD"
    record.write_text(change(record.read_text()))


def test_what_an_installer_adds_does_not_count(distribution):
    installed, module = distribution
    before = digest(installed)
    rewrite(
        module,
        lambda text: (
            text
            + "../../bin/thing,sha256=abc,1\n__pycache__/archflow_test_a.cpython-311.pyc,,\n"
            + "archflow_test_a-1.0.dist-info/direct_url.json,sha256=abc,1\n"
        ),
    )
    assert digest(installed) == before


def test_order_does_not_count(distribution):
    installed, module = distribution
    before = digest(installed)
    rewrite(module, lambda text: "\n".join(reversed(text.splitlines())))
    assert digest(installed) == before


@pytest.mark.parametrize(
    "line", ["archflow_test_a_more.py,sha256=abc,1", "start.pth,sha256=abc,1", '"with,comma.py",sha256=abc,1']
)
def test_a_file_more_counts(distribution, line):
    installed, module = distribution
    before = digest(installed)
    rewrite(module, lambda text: f"{text}{line}\n")
    assert digest(installed) != before


def test_nothing_was_tampered_with(distribution):
    assert list(tampered(distribution[0])) == []


def test_changed_and_missing_files_are_named(distribution):
    installed, module = distribution
    rewrite(module, lambda text: f"{text}gone.py,sha256=abc,1\n")
    module.write_text("# other")
    assert list(tampered(installed)) == [
        "archflow_test_a.py was changed after it was installed",
        "gone.py cannot be read: No such file or directory",
    ]


def test_an_editable_install_cannot_be_verified(install):
    install("archflow-test-a", guard(), editable=True, a="archflow_test_a")
    installed = metadata.distribution("archflow-test-a")
    assert is_editable(installed)
    assert list(tampered(installed)) == ["it is an editable install, whose files cannot be verified"]
    assert len(digest(installed)) == 64


def test_a_distribution_without_record_has_a_digest(install):
    module = install("archflow-test-a", guard(), a="archflow_test_a")
    (next(module.parent.glob("*.dist-info")) / "RECORD").unlink()
    assert len(digest(metadata.distribution("archflow-test-a"))) == 64
