"""The pictures of the guides, made anew: small, from made-up data. ``make screenshots``."""

import tempfile
from io import BytesIO
from pathlib import Path

import small_market
from browser import chromium
from highwater.engine.report.page import page
from highwater.io.runs import find_run
from PIL import Image
from test_dashboard import choose, go, serving, settled

ROOT = Path(__file__).parents[2]
MOST = 150_000  # bytes of a picture
GRID = ("--tp", "log:1.1:10", "--sl", "0.4:0.95", "--trail", "0.05:0.6", "--trials", "4000")
SESSIONS = ("--symbols", "SPY", "QQQ", "--start", "2024-01-02", "--end", "2024-12-31", "--synthetic")


def main():
    """Make runs and photograph their pages."""
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        folder = Path(name)
        small_market.run("data", "synth", folder, "--days", "60", "--tokens", "250")
        data = ("--alerts", folder / "alerts.parquet", "--candles", folder / "candles.parquet")
        shots = (
            ("search", ("sweep", *GRID, *data), "#verdict", "#surface"),
            ("session", ("backtest", *SESSIONS), "#summary", "#trades"),
        )
        for kind, words, first, last in shots:
            done = small_market.run(*words, "--runs", folder / "runs", "--quiet")
            assert done.code == 0, done.err
            path = folder / f"{kind}.html"
            path.write_text(page(find_run(folder / "runs", "latest").path, folder / "runs/.slices"))
            photograph(browser, path, ROOT / f"engine/report/{kind}.webp", first, last)
        with serving(folder / "runs") as address:
            of_the_dashboard(browser, address)


def of_the_dashboard(browser, address):
    """Photograph the overview of the newest run, of sessions, and the candles of one of its trades."""
    tab = browser.new_page(viewport={"width": 1280, "height": 1000}, color_scheme="light")
    tab.goto(address)
    settled(tab)
    for title, height in (("Overview", 820), ("Trades", 1420)):
        go(tab, title)
        tab.set_viewport_size({"width": 1280, "height": height})
        if title == "Trades":
            tab.wait_for_timeout(2000)
            choose(tab, 2)
            tab.locator("h3", has_text="after").wait_for()
            tab.mouse.move(640, 1)  # or a toolbar covers the number of the page
        tab.wait_for_timeout(3000)
        taken = Image.open(BytesIO(tab.screenshot()))
        save(taken, ROOT / f"engine/dashboard/{title.lower()}.webp")
    tab.close()


def photograph(browser, path, target, first, last):
    """Write the part of a page between two sections as a picture."""
    tab = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
    tab.goto(path.as_uri())
    top, bottom = (tab.locator(name).bounding_box() for name in (first, last))
    clip = {"x": 0, "y": top["y"] - 12, "width": 1280, "height": bottom["y"] + bottom["height"] - top["y"] + 24}
    taken = Image.open(BytesIO(tab.screenshot(full_page=True, clip=clip)))
    tab.close()
    save(taken.crop((0, 0, taken.width, min(taken.height, 1440))), target)


def save(taken, target):
    """Write a picture as small as it has to be."""
    for quality in (80, 65, 50, 35):
        taken.save(target, "WEBP", quality=quality, method=6)
        if target.stat().st_size <= MOST:
            break
    print(f"{target.relative_to(ROOT)}  {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
