"""The AWS credential chain: what is found first, what it says where nothing is, and what botocore adds."""

import builtins
import sys
from datetime import UTC, datetime, timedelta

import pytest
import trio

from archflow_plugins.providers.aws_credentials import CHECK, Found, Kept, find, read_profile, region_of
from archflow_plugins.providers.sigv4 import Credentials
from archflow_plugins.testing import run_context
from archflow_schema.errors import ArchflowError

KEYS = {"AWS_ACCESS_KEY_ID": "AKIAENV", "AWS_SECRET_ACCESS_KEY": "env-secret"}


@pytest.fixture
def home(tmp_path):
    (tmp_path / ".aws").mkdir()
    return tmp_path


@pytest.fixture
def without_botocore(monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.split(".")[0] == "botocore":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    for name in [name for name in sys.modules if name.split(".")[0] == "botocore"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", refuse)


def write(home, credentials="", config=""):
    (home / ".aws" / "credentials").write_text(credentials)
    (home / ".aws" / "config").write_text(config)


def found(home, **environment) -> Found:
    environment = {"HOME": str(home), **environment}
    return find(environment, read_profile(environment), "bedrock")


def test_the_order(home):
    write(home, "[default]\naws_access_key_id = AKIAFILE\naws_secret_access_key = file-secret\n")
    assert found(home).credentials == Credentials("AKIAFILE", "file-secret")
    assert found(home, **KEYS).credentials == Credentials("AKIAENV", "env-secret")
    assert found(home, **KEYS, AWS_SESSION_TOKEN="t").credentials == Credentials("AKIAENV", "env-secret", "t")
    assert found(home, **KEYS, AWS_BEARER_TOKEN_BEDROCK="ABSK").api_key == "ABSK"


def test_profiles(home):
    write(
        home,
        "[default]\naws_access_key_id=A\naws_secret_access_key=a\n"
        "[work]\naws_access_key_id=B\naws_secret_access_key=b%(x)s\naws_session_token=t\n",
        "[default]\nregion=us-east-1\n[profile work]\nregion=eu-west-3\ns3 =\n  max_queue_size = 5\n"
        "[profile only]\naws_access_key_id=C\naws_secret_access_key=c\n",
    )
    assert found(home, AWS_PROFILE="work").credentials == Credentials("B", "b%(x)s", "t")
    assert found(home, AWS_PROFILE="only").credentials == Credentials("C", "c")
    profile = read_profile({"HOME": str(home), "AWS_PROFILE": "work"})
    assert region_of({}, profile) == "eu-west-3"
    assert region_of({"AWS_DEFAULT_REGION": "x"}, profile) == "x"
    assert region_of({"AWS_REGION": "y", "AWS_DEFAULT_REGION": "x"}, profile) == "y"


def test_files_elsewhere(tmp_path):
    (tmp_path / "c").write_text("[p]\naws_access_key_id=A\naws_secret_access_key=a\n")
    environment = {
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "c"),
        "AWS_CONFIG_FILE": str(tmp_path / "absent"),
        "AWS_PROFILE": "p",
    }
    assert found(tmp_path, **environment).credentials == Credentials("A", "a")


def test_a_profile_that_is_nowhere(home):
    write(home)
    with pytest.raises(
        ArchflowError, match=r"the AWS profile 'prod' is neither in .*config nor in .*credentials"
    ):
        found(home, AWS_PROFILE="prod")


def test_half_of_the_keys(home):
    with pytest.raises(ArchflowError, match="set AWS_SECRET_ACCESS_KEY too"):
        found(home, AWS_ACCESS_KEY_ID="A")
    with pytest.raises(ArchflowError, match="set AWS_ACCESS_KEY_ID too"):
        found(home, AWS_SECRET_ACCESS_KEY="a")


def test_a_broken_file_is_named_and_not_quoted(home):
    write(home, "canary without a section\n")
    with pytest.raises(ArchflowError, match="credentials is not an INI file") as raised:
        found(home)
    assert "canary" not in str(raised.value)
    (home / ".aws" / "credentials").write_bytes(b"\xff\xfe")
    with pytest.raises(ArchflowError, match="credentials cannot be read"):
        found(home)


@pytest.mark.usefixtures("without_botocore")
def test_without_the_extra_it_is_named(home):
    with pytest.raises(ArchflowError, match=r"bedrock has no AWS credentials.*pip install 'archflow\[aws\]'"):
        found(home)
    write(home, config="[profile sso]\nsso_session = s\n")
    with pytest.raises(
        ArchflowError, match=r"'sso' of bedrock has sso_session, which needs botocore: pip install"
    ):
        found(home, AWS_PROFILE="sso")


def test_botocore_does_the_rest(home, monkeypatch):
    """A profile whose keys a program tells: botocore runs it, and renews what it told."""
    tell = home / "tell.py"
    tell.write_text(
        "import json, sys, pathlib\n"
        "place = pathlib.Path(__file__).with_name('count')\n"
        "n = int(place.read_text()) + 1 if place.exists() else 1\n"
        "place.write_text(str(n))\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': f'A{n}', 'SecretAccessKey': 's', 'SessionToken': 't',\n"
        "                  'Expiration': sys.argv[1]}))\n"
    )
    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    write(home, config=f"[profile told]\ncredential_process = {sys.executable} {tell} {soon}\n")
    for name, value in {
        "HOME": str(home),
        "AWS_PROFILE": "told",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    got = found(home, AWS_PROFILE="told")
    assert got.credentials is not None
    assert got.credentials.token == "t"
    assert got.renew is not None
    first = int(got.credentials.access_key[1:])
    assert int(got.renew().access_key[1:]) > first


def test_nothing_found_by_botocore_either(home, monkeypatch):
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in (*KEYS, "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ArchflowError, match="and botocore finds none either: set access_key"):
        found(home)


@pytest.mark.trio
async def test_credentials_are_renewed_until_closed(autojump_clock):
    told = iter([Credentials("2", "s"), RuntimeError("canary"), Credentials("3", "s")])
    lines = []

    def renew():
        value = next(told)
        if isinstance(value, Exception):
            raise value
        return value

    context = run_context("bedrock", log=lambda event, **fields: lines.append((event, fields)))
    kept = Kept(context, Credentials("1", "s"), renew)
    seen = [kept.now.access_key]
    for _ in range(3):
        with trio.fail_after(10 * CHECK):
            await trio.sleep(CHECK)
            await trio.testing.wait_all_tasks_blocked(0.01)
        seen.append(kept.now.access_key)
    kept.close()
    assert seen == ["1", "2", "2", "3"]
    assert lines == [
        ("aws_credentials_not_renewed", {"level": "warning", "provider": "bedrock", "why": "RuntimeError"})
    ]
    await trio.sleep(5 * CHECK)
    assert kept.now.access_key == "3"
