"""What becomes of an error that nobody foresaw: its traceback goes to a log, under an id that a user can be told."""

from pathlib import Path


def record(error: BaseException) -> tuple[str, Path | None]:
    """Append the traceback to the log, and return the id it stands under and the log; None where the disk refuses."""
    import secrets
    import time
    import traceback

    import platformdirs

    number = secrets.token_hex(4)
    try:
        log = platformdirs.user_log_path("highwater", appauthor=False, ensure_exists=True) / "errors.log"
        with log.open("a", encoding="utf-8", errors="backslashreplace") as file:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            file.write(f"{stamp} {number}\n{''.join(traceback.format_exception(error))}\n")
    except OSError:
        return number, None
    return number, log
