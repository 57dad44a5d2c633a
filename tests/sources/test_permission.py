"""A real S3 server that asks who you are: users whose policy denies them to list, to read or to write."""

import json
import urllib.request

import boto3
import pytest
import small_market
from highwater.io.objects import ObjectPath, client, listed, put_new
from small_market import run


@pytest.fixture
def denied(s3, moto, monkeypatch):
    """Return a function that makes us a user who may do everything on S3 but some actions, from there on for real."""

    def become(*actions):
        rules = [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]
        rules += [{"Effect": "Deny", "Action": list(actions), "Resource": "*"}] if actions else []
        policy = {"Version": "2012-10-17", "Statement": rules}
        auth(moto, "inf")
        iam, name = boto3.client("iam", endpoint_url=moto), f"desk{len(made)}-{s3}"
        made.append(name)
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="desk", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        client.cache_clear()
        auth(moto, "0")

    made = []
    yield become
    auth(moto, "inf")


def auth(moto, after):
    """Have the server ask for permission after so many requests."""
    request = urllib.request.Request(f"{moto}/moto-api/reset-auth", after.encode(), {"Content-Type": "text/plain"})
    urllib.request.urlopen(request, timeout=5).read()


def test_who_may_not_write_has_the_run_here_and_is_told(s3, denied, tmp_path):
    market = small_market.write(tmp_path / "market")
    words = ["baseline", *market.flags, "--runs", f"s3://{s3}/team"]
    denied("s3:PutObject")
    refused = run(*words)
    denied()
    unsent = listed(ObjectPath(s3, "team"))
    again = run("runs", "list", "--runs", f"s3://{s3}/team", "--json")

    assert 77 == refused.code
    assert "permission denied (AccessDenied) while writing s3://" in refused.err
    assert f"the next command with --runs s3://{s3}/team sends it" in refused.err
    assert [] == unsent
    assert (0, 1) == (again.code, len(json.loads(again.out)))
    assert 1 == len([one for one in listed(ObjectPath(s3, "team")) if one.name.endswith("_SUCCESS")])


@pytest.mark.parametrize(("action", "doing"), [("s3:GetObject", "reading"), ("s3:ListBucket", "listing")])
def test_who_may_not_read_is_told_where(s3, denied, tmp_path, action, doing):
    market = small_market.write(tmp_path / "market")
    for path in market:
        put_new(ObjectPath(s3, path.name), path)
    words = ["--alerts", f"s3://{s3}/alerts.parquet", "--candles", f"s3://{s3}/candles.parquet"]
    denied(action)
    inputs = run("baseline", *words, "--runs", tmp_path / "runs")
    listing = run("runs", "list", "--runs", f"s3://{s3}/team") if action == "s3:ListBucket" else inputs
    denied()
    allowed = run("baseline", *words, "--runs", tmp_path / "runs")

    assert [77, 77, 0] == [done.code for done in (inputs, listing, allowed)], (inputs.err, listing.err, allowed.err)
    for done in (inputs, listing):
        assert f"permission denied (AccessDenied) while {doing} s3://{s3}" in done.err or "(403)" in done.err
        assert "see to the rights of your credentials there" in done.err
        assert 1 == done.err.count("\n")


def test_slices_that_may_not_be_sent_are_told_of(s3, denied, tmp_path):
    market = small_market.write(tmp_path / "market")
    denied("s3:PutObject")
    refused = run("strategy", *market.flags, "--tp", "2", "--runs", tmp_path / "runs", "--slices", f"s3://{s3}/cut")

    denied()
    before = listed(ObjectPath(s3, "cut"))
    again = run("slices", "build", *market.flags, "--slices", f"s3://{s3}/cut")

    assert 77 == refused.code
    assert f"permission denied (AccessDenied) while writing s3://{s3}/cut/slice_" in refused.err
    assert "(found again: " in again.out  # and sent, which a command before could not
    assert (0, 2) == (len(before), len(listed(ObjectPath(s3, "cut"))))


def test_a_key_that_nobody_has_is_told_of(s3, denied, monkeypatch):
    denied()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    client.cache_clear()
    done = run("runs", "list", "--runs", f"s3://{s3}/team")

    assert 77 == done.code
    assert "permission denied (InvalidAccessKeyId) while listing" in done.err
