"""What names objects, and what an S3 store's answers are to a user; the store itself is asked in tests/sources."""

import builtins

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from highwater.io.errors import AccessError, DataError, MissingError, StoreError
from highwater.io.objects import ObjectPath, client, object_path, store_errors

PLACE = ObjectPath("bucket", "runs")


@pytest.mark.parametrize(
    ("text", "bucket", "key"),
    [
        ("s3://my-bucket", "my-bucket", ""),
        ("s3://my-bucket/", "my-bucket", ""),
        ("s3://b.c.d/runs/2025/", "b.c.d", "runs/2025"),
        ("s3://bucket//a b/ü", "bucket", "a b/ü"),
    ],
)
def test_an_object_is_named_by_bucket_and_key(text, bucket, key):
    found = object_path(text)

    assert ObjectPath(bucket, key) == found
    assert found == object_path(str(found))


@pytest.mark.parametrize(
    "text", ["s3://", "s3:/bucket/a", "s3://UPPER/a", "s3://a/b", "s3://bucket/../x", "gs://bucket"]
)
def test_what_names_no_object_is_refused(text):
    with pytest.raises(ValueError, match="it"):
        object_path(text)


def test_a_name_below_a_prefix_or_a_bare_bucket():
    assert "s3://bucket/runs/x" == str(PLACE / "x")
    assert "s3://bucket/x" == str(ObjectPath("bucket", "") / "x")


def refused(code):
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "GetObject")


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (refused("NoSuchBucket"), MissingError, "there is no bucket bucket"),
        (refused("NoSuchKey"), MissingError, "s3://bucket/runs does not exist"),
        (refused("404"), MissingError, "s3://bucket/runs does not exist"),
        (refused("AccessDenied"), AccessError, "permission denied (AccessDenied) while reading"),
        (refused("SignatureDoesNotMatch"), AccessError, "permission denied (SignatureDoesNotMatch)"),
        (refused("InternalError"), StoreError, "InternalError"),
        (NoCredentialsError(), AccessError, "AWS_ACCESS_KEY_ID"),
        (EndpointConnectionError(endpoint_url="http://x"), StoreError, "AWS_ENDPOINT_URL"),
    ],
)
def test_a_refusal_is_one_line_with_its_exit_code(error, kind, text):
    with pytest.raises(kind) as caught, store_errors("reading s3://bucket/runs", PLACE):
        raise error

    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_our_own_errors_pass():
    with pytest.raises(DataError, match="mine"), store_errors("reading", PLACE):
        raise DataError("mine")


def test_without_boto3_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def without(name, *words, **given):
        if name.startswith("boto3"):
            raise ImportError(name)
        return real(name, *words, **given)

    monkeypatch.setattr(builtins, "__import__", without)
    client.cache_clear()
    with pytest.raises(MissingError, match=r"pip install 'highwater\[s3\]'"):
        client()
    client.cache_clear()
