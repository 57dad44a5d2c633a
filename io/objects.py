"""Objects of an S3 store: named, listed, fetched whole, and published where there was none; trouble is one line."""

import contextlib
import functools
import hashlib
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from .digest import file_sha256
from .durable import disk_errors, make_folder
from .errors import AccessError, HighwaterError, IntegrityError, MissingError, StoreError, one_line

SCHEME = "s3://"
REMEDY = "free space, or name another cache with XDG_CACHE_HOME"
_NAMED = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?", re.DOTALL)
_DENIED = {"AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "AllAccessDisabled"}
_ABSENT = {"NoSuchKey", "404", "NotFound"}
_PART = 64 << 20  # bytes; what is larger goes up in parts of this size
_BLOCK = 1 << 20


@dataclass(frozen=True)
class ObjectPath:
    """An object of a bucket, or all those below a prefix: ``s3://bucket/key``."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}"

    def __truediv__(self, name: str) -> "ObjectPath":
        return ObjectPath(self.bucket, f"{self.key}/{name}" if self.key else name)


class Found(NamedTuple):
    """An object as a listing has it: its name below the prefix, bytes, and the store's mark of its content."""

    name: str
    size: int
    etag: str


def object_path(text: str) -> ObjectPath:
    """Return what ``s3://bucket/key`` names; ValueError where it is none."""
    named = _NAMED.fullmatch(text)
    if not named:
        raise ValueError("it must be s3://bucket/prefix, the bucket in 3 to 63 of a-z, 0-9, '.' and '-'")
    parts = [part for part in (named[2] or "").split("/") if part]
    if ".." in parts or "." in parts:
        raise ValueError("its key must not hold '.' or '..' as a part")
    return ObjectPath(named[1], "/".join(parts))


def cache_folder() -> Path:
    """Return where this user's copies of objects are kept (in the cache directory of the system, XDG_CACHE_HOME)."""
    import platformdirs

    return Path(platformdirs.user_cache_path("highwater")) / "objects"


def listed(place: ObjectPath) -> list[Found]:
    """Return the objects below ``place`` by name; the object ``place`` itself has the name ''."""
    found = []
    with store_errors(f"listing {place}", place):
        pages = client().get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=place.bucket, Prefix=place.key):
            for one in page.get("Contents", ()):
                rest = one["Key"][len(place.key) :]
                if not place.key or rest == "" or rest.startswith("/"):
                    found.append(Found(rest.removeprefix("/"), one["Size"], one["ETag"].strip('"')))
    return [one for one in found if not one.name.endswith("/")]


def read(place: ObjectPath) -> bytes:
    """Return the bytes of a small object. Raises MissingError where there is none."""
    with store_errors(f"reading {place}", place):
        return client().get_object(Bucket=place.bucket, Key=place.key)["Body"].read()


def download(place: ObjectPath, target: Path) -> None:
    """Write an object as the file ``target``, whole or not at all."""
    with disk_errors(f"writing {target}", REMEDY):
        make_folder(target.parent)
        draft = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}.draft")
        try:
            with store_errors(f"reading {place}", place):
                client().download_file(place.bucket, place.key, str(draft))
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)


def put_new(place: ObjectPath, data: bytes | Path) -> None:
    """Write a new object, whole or not at all; the same one there already is as good.

    Raises IntegrityError where there is an object with other content: nothing published is ever replaced.
    """
    with store_errors(f"writing {place}", place):
        try:
            if isinstance(data, Path) and data.stat().st_size > _PART:
                _put_in_parts(place, data)
            else:
                with contextlib.ExitStack() as stack:
                    body = stack.enter_context(data.open("rb")) if isinstance(data, Path) else data
                    client().put_object(Bucket=place.bucket, Key=place.key, Body=body, IfNoneMatch="*")
        except _client_error() as error:
            if _code(error) not in ("PreconditionFailed", "412", "ConditionalRequestConflict"):
                raise
            if _sha256(place) != _sha256_of(data):
                text = f"{place} exists with other content; nothing published is replaced: name another place"
                raise IntegrityError(text) from error


def _put_in_parts(place: ObjectPath, path: Path) -> None:
    """Write a large file in parts; none of it is seen until the last step, which is refused where something is."""
    at = {"Bucket": place.bucket, "Key": place.key}
    upload = client().create_multipart_upload(**at)["UploadId"]
    try:
        parts = []
        with path.open("rb") as file:
            while block := file.read(_PART):
                number = len(parts) + 1
                sent = client().upload_part(**at, UploadId=upload, PartNumber=number, Body=block)
                parts.append({"ETag": sent["ETag"], "PartNumber": number})
        client().complete_multipart_upload(**at, UploadId=upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*")
    except BaseException:
        with contextlib.suppress(Exception):
            client().abort_multipart_upload(**at, UploadId=upload)
        raise


def _sha256(place: ObjectPath) -> str:
    digest = hashlib.sha256()
    for block in client().get_object(Bucket=place.bucket, Key=place.key)["Body"].iter_chunks(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def _sha256_of(data: bytes | Path) -> str:
    return file_sha256(data) if isinstance(data, Path) else hashlib.sha256(data).hexdigest()


@functools.cache
def client() -> Any:
    """Return the one client of this process: where and as whom, the AWS variables and profiles say.

    Raises MissingError where boto3 is not installed.
    """
    try:
        from boto3.session import Session
        from botocore.config import Config
    except ImportError:
        raise MissingError("s3:// needs boto3: pip install 'highwater[s3]'") from None
    patience = Config(connect_timeout=10, read_timeout=60, retries={"mode": "standard", "max_attempts": 4})
    return Session().client("s3", config=patience)


@contextlib.contextmanager
def store_errors(doing: str, place: ObjectPath) -> Iterator[None]:
    """Turn what the store or the way to it refuses into one line: missing, no permission, or I/O."""
    client()
    from botocore.exceptions import BotoCoreError, NoCredentialsError, PartialCredentialsError

    try:
        yield
    except HighwaterError:
        raise
    except (NoCredentialsError, PartialCredentialsError) as error:
        text = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        raise AccessError(f"no credentials while {doing}; {text}") from error
    except (BotoCoreError, _client_error()) as error:
        raise _told(error, doing, place) from error


def _client_error() -> Any:
    from botocore.exceptions import ClientError

    return ClientError


def _code(error: Any) -> str:
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


def _told(error: Exception, doing: str, place: ObjectPath) -> HighwaterError:
    code = _code(error)
    if code == "NoSuchBucket":
        return MissingError(f"there is no bucket {place.bucket} (while {doing})")
    if code in _ABSENT:
        return MissingError(f"{place} does not exist")
    if code in _DENIED:
        return AccessError(f"permission denied ({code}) while {doing}; see to the rights of your credentials there")
    reason = one_line(error)
    return StoreError(f"{reason} while {doing}; see to the network and AWS_ENDPOINT_URL, then repeat")
