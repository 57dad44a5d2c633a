"""Runs on a real S3 server: published there with the marker last, listed, verified and in the catalog from anywhere."""

import json

import pytest
import small_market
from highwater.io.errors import StoreError
from highwater.io.objects import ObjectPath, client, listed, put_new, read
from highwater.io.remote import copy_of, origin_of
from small_market import run


@pytest.fixture
def market(tmp_path):
    return small_market.write(tmp_path / "market")


def elsewhere(tmp_path, monkeypatch, name):
    """Make this another machine: nothing of the store is here yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))


def keys(bucket):
    return [one.name for one in listed(ObjectPath(bucket, ""))]


def test_a_run_goes_up_marker_last_and_is_there_for_another_machine(s3, market, tmp_path, monkeypatch):
    sent = []
    real = client()._make_api_call

    def noted(operation, words):
        if operation == "PutObject":
            assert "*" == words["IfNoneMatch"]
            sent.append(words["Key"])
        return real(operation, words)

    monkeypatch.setattr(client(), "_make_api_call", noted)
    made = run("baseline", *market.flags, "--runs", f"s3://{s3}/team", "--json")
    assert 0 == made.code, made.err
    run_id, first = json.loads(made.out)["run_id"], [key.rpartition("run_id=")[2] for key in sent]
    elsewhere(tmp_path, monkeypatch, "other")
    asked = {
        "list": run("runs", "list", "--runs", f"s3://{s3}/team"),
        "show": run("runs", "show", "latest", "--runs", f"s3://{s3}/team"),
        "verify": run("runs", "verify", "latest", "--content", "--runs", f"s3://{s3}/team"),
        "sync": run("catalog", "sync", "--runs", f"s3://{s3}/team"),
        "query": run("catalog", "query", "--json", "--runs", f"s3://{s3}/team"),
        "rerun": run("runs", "rerun", "latest", "--runs", f"s3://{s3}/team"),
    }

    assert [f"{run_id}/run.json", f"{run_id}/_SUCCESS"] == first[-2:]
    assert dict.fromkeys(asked, 0) == {name: done.code for name, done in asked.items()}, asked
    assert run_id[-6:] in asked["list"].out and run_id in asked["query"].out
    assert asked["list"].out.startswith(f"Runs in s3://{s3}/team")
    assert 2 == len([key for key in keys(s3) if key.endswith("_SUCCESS")])  # the rerun is there too


def test_what_changes_on_the_store_is_found(s3, market, tmp_path, monkeypatch):
    run("baseline", *market.flags, "--runs", f"s3://{s3}/team")
    (paths,) = (key for key in keys(s3) if key.endswith("paths.parquet"))
    data = bytearray(read(ObjectPath(s3, paths)))
    data[len(data) // 2] ^= 1
    client().put_object(Bucket=s3, Key=paths, Body=bytes(data))
    done = run("runs", "verify", "latest", "--runs", f"s3://{s3}/team")

    assert 4 == done.code
    assert "paths.parquet" in done.out + done.err


def test_a_run_without_a_marker_is_none_and_one_that_is_gone_goes_here(s3, market):
    run("baseline", *market.flags, "--runs", f"s3://{s3}/team")
    put_new(ObjectPath(s3, "team/2026-01/run_id=01m7y3ysv6d5nmc86zvwhfkenv/run.json"), b"{}")
    before = json.loads(run("runs", "list", "--json", "--runs", f"s3://{s3}/team").out)
    for key in keys(s3):
        client().delete_object(Bucket=s3, Key=key)
    after = json.loads(run("runs", "list", "--json", "--runs", f"s3://{s3}/team").out)

    assert (1, 0) == (len(before), len(after))


def test_a_run_that_cannot_be_sent_is_told_of_and_sent_with_the_next_command(s3, market, monkeypatch):
    run("runs", "list", "--runs", f"s3://{s3}/team")

    def refused(*_):
        raise StoreError("no route to the store")

    with monkeypatch.context() as patch:
        patch.setattr("highwater.io.run_store.put_new", refused)
        made = run("baseline", *market.flags, "--runs", f"s3://{s3}/team")
    before = keys(s3)
    run("runs", "list", "--runs", f"s3://{s3}/team")

    assert 74 == made.code
    assert f"the next command with --runs s3://{s3}/team sends it" in made.err
    assert "callers" in made.out.lower()  # what it found is shown all the same
    assert [] == before
    assert 1 == len([key for key in keys(s3) if key.endswith("_SUCCESS")])


def test_alerts_candles_and_slices_come_from_the_store(s3, market, tmp_path, monkeypatch):
    store = ObjectPath(s3, "in")
    for path in market:
        put_new(store / path.name, path)
    put_new(store / "dir/token_address=x/data.parquet", market.candles)
    words = ["baseline", "--alerts", f"s3://{s3}/in/alerts.parquet", "--candles", f"s3://{s3}/in/candles.parquet"]
    words += ["--slices", f"s3://{s3}/cut"]
    first = run(*words, "--runs", tmp_path / "one")
    elsewhere(tmp_path, monkeypatch, "other")
    second = run(*words, "--runs", tmp_path / "two")
    here = run("baseline", *market.flags, "--runs", tmp_path / "three")
    shown = run("slices", "list", "--slices", f"s3://{s3}/cut", "--json")
    checked = run("slices", "verify", "--slices", f"s3://{s3}/cut")

    assert [0, 0, 0, 0, 0] == [each.code for each in (first, second, here, shown, checked)], first.err
    assert "slice cut" in first.out and "slice found" in second.out, second.out
    inputs = [small_market.find_run(tmp_path / name, "latest").manifest.inputs for name in ("one", "two", "three")]
    assert [f"s3://{s3}/in/alerts.parquet", f"s3://{s3}/in/candles.parquet"] == [one.source for one in inputs[0]]
    assert 1 == len({tuple(one.digest for one in each) for each in inputs})
    assert 1 == len(json.loads(shown.out)) and "1 slice as cut" in checked.out


def test_a_store_that_refuses_is_one_line(s3, market, monkeypatch):
    def denied(*_, **__):
        from botocore.exceptions import ClientError

        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "PutObject")

    gone = run("runs", "list", "--runs", "s3://no-such-bucket-at-all/runs")
    missing = run("baseline", "--alerts", f"s3://{s3}/none.parquet", "--candles", market.candles)
    wrong = run("baseline", "--alerts", "s3://B/x", "--candles", market.candles)
    local = run("runs", "gc", "--runs", f"s3://{s3}/x")
    run("runs", "list", "--runs", f"s3://{s3}/team")
    monkeypatch.setattr(client(), "put_object", denied)
    refused = run("baseline", *market.flags, "--runs", f"s3://{s3}/team")

    assert [2, 2, 2, 2, 77] == [each.code for each in (gone, missing, wrong, local, refused)], refused
    assert "there is no bucket no-such-bucket-at-all" in gone.err
    assert f"s3://{s3}/none.parquet does not exist" in missing.err
    assert "--alerts is 's3://B/x'; it must be s3://bucket/prefix" in wrong.err
    assert "it must be a local path here" in local.err
    assert "permission denied (AccessDenied) while writing" in refused.err
    assert [1] * 5 == [each.err.count("highwater: ") for each in (gone, missing, wrong, local, refused)]


def test_a_copy_knows_what_it_is_of(s3):
    place = ObjectPath(s3, "a")
    folder = copy_of(place, "runs")

    assert [f"s3://{s3}/a", f"s3://{s3}/a/b"] == [origin_of(folder), origin_of(folder / "b")]
    assert str(folder.parent) == origin_of(folder.parent)


def test_a_search_that_was_interrupted_goes_on_in_the_copy_of_a_store(s3, market):
    done = run("sweep", "--resume", "01m7y3ysv6d5nmc86zvwhfkenv", "--runs", f"s3://{s3}/team")

    assert 2 == done.code
    assert "highwater: " in done.err and "01m7y3ysv6d5nmc86zvwhfkenv" in done.err
