"""Slices on a real S3 server."""

import pytest
import small_market
from highwater.io.errors import AccessError, IntegrityError, MissingError, StoreError
from highwater.io.objects import ObjectPath, client, listed, object_path, put_new, read
from highwater.io.slice_store import cache_folder, fetch, find, send


@pytest.fixture
def piece(tmp_path):
    return small_market.prepared(tmp_path / "market").slice


def test_a_slice_is_fetched_once_by_digest_and_mapped(s3, piece, monkeypatch):
    store = object_path(f"s3://{s3}/slices")
    place = send(piece, store)
    send(piece, store)
    digest = piece.facts.content_sha256
    first = fetch(place, digest)
    asked = []
    monkeypatch.setattr("highwater.io.slice_store.download", lambda *words: asked.append(words))
    second = fetch(place, digest)

    assert first.path == second.path == cache_folder() / "slices" / digest / piece.path.name
    assert piece.facts == second.facts
    assert all((a == b).all() for a, b in zip(piece.candles, second.candles, strict=True))
    assert [] == asked
    assert [digest] == [path.name for path in (cache_folder() / "slices").iterdir()]


def test_a_slice_is_found_by_its_fingerprint(s3, piece):
    store = ObjectPath(s3, "")
    send(piece, store)

    assert piece.facts == find(store, piece.facts.fingerprint).facts
    assert find(store, piece.facts.fingerprint[:12] + "0" * 52) is None


def test_a_slice_that_is_not_what_was_asked_for_never_reaches_the_cache(s3, piece):
    place = send(piece, ObjectPath(s3, "x"))
    with pytest.raises(IntegrityError, match="holds candles of digest"):
        fetch(place, "0" * 64)
    data = bytearray(piece.path.read_bytes())
    data[len(data) // 2] ^= 1
    client().put_object(Bucket=s3, Key=place.key, Body=bytes(data))
    with pytest.raises(IntegrityError, match="content digest is"):
        fetch(place, piece.facts.content_sha256)

    assert [] == list((cache_folder() / "slices").iterdir())


def test_what_is_published_is_never_replaced(s3):
    place = ObjectPath(s3, "a/b")
    put_new(place, b"one")
    put_new(place, b"one")
    with pytest.raises(IntegrityError, match="exists with other content"):
        put_new(place, b"two")

    assert b"one" == read(place)


def test_a_large_file_goes_in_parts_and_is_new_too(s3, tmp_path, monkeypatch):
    monkeypatch.setattr("highwater.io.objects._PART", 5 << 20)
    path, place = tmp_path / "large", ObjectPath(s3, "large")
    path.write_bytes(bytes(range(256)) * (11 << 12))
    put_new(place, path)
    put_new(place, path)
    found = read(place)
    path.write_bytes(b"\0" * (11 << 20))
    with pytest.raises(IntegrityError):
        put_new(place, path)

    assert bytes(range(256)) * (11 << 12) == found == read(place)


def test_a_listing_is_of_what_lies_below_and_not_beside(s3):
    for key in ("runs/a", "runs/b/c", "runs2/d", "runs"):
        put_new(ObjectPath(s3, key), key.encode())

    assert [("", 4), ("a", 6), ("b/c", 8)] == [one[:2] for one in listed(ObjectPath(s3, "runs"))]


def test_what_is_not_there_or_not_allowed_is_one_line(s3, monkeypatch):
    with pytest.raises(MissingError, match=f"s3://{s3}/nope does not exist"):
        read(ObjectPath(s3, "nope"))
    with pytest.raises(MissingError, match="there is no bucket"):
        listed(ObjectPath("no-such-bucket-here", ""))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    client.cache_clear()
    with pytest.raises(StoreError, match="AWS_ENDPOINT_URL"):
        read(ObjectPath(s3, "nope"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    client.cache_clear()
    with pytest.raises(AccessError, match="no credentials"):
        read(ObjectPath(s3, "nope"))
