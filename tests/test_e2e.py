"""The demo's page in a real browser: upload, type, ask, look. `make test-e2e` runs it and keeps the screenshots."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import soundfile

from paraclap.synthetic_speech import SAMPLING_RATE, VOICES, synthesise

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[1]
SCREENSHOTS = ROOT / "build" / "e2e"
PORT = 7869
PATIENCE_S = 180
QUERIES = ("speaks slowly", "shouts", "<b>whispers</b>")  # what is typed is text, not HTML


@pytest.fixture(scope="module")
def page(tiny_release, tmp_path_factory):
    """The address of the app, served by a process of its own with a small model."""
    log, temporary = tmp_path_factory.mktemp("app") / "log.txt", tmp_path_factory.mktemp("temporary")
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "GRADIO_ANALYTICS_ENABLED": "False", "TMPDIR": str(temporary)}
    command = [sys.executable, str(ROOT / "space" / "app.py"), "--model", str(tiny_release), "--port", str(PORT)]
    with open(log, "w") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT, cwd=log.parent)
        try:
            yield wait_for(f"http://127.0.0.1:{PORT}/", server, log)
        finally:
            server.terminate()
            assert server.wait(30) == 128 + signal.SIGTERM
            assert not list(temporary.rglob("*.wav")), "recordings are left behind"


def wait_for(address, server, log):
    for _ in range(PATIENCE_S):
        try:
            urllib.request.urlopen(address, timeout=5).read()
            return address
        except OSError:
            assert server.poll() is None, log.read_text()
            time.sleep(1)
    raise TimeoutError(log.read_text())


@pytest.fixture(scope="module")
def browser():
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
        options.add_argument(f"--{argument}")
    driver = webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))
    driver.set_page_load_timeout(PATIENCE_S)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """A short recording, a long one, and a text that only claims to be one."""
    folder = tmp_path_factory.mktemp("recordings")
    for name, seconds in (("short", 2), ("long", 9)):
        soundfile.write(folder / f"{name}.wav", synthesise(VOICES[1], seconds), SAMPLING_RATE)
    (folder / "text.wav").write_text("this is no audio")
    return folder


def open_page(browser, page, width, height):
    """Opens the page at exactly this size, which a window cannot have below some 500 pixels."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    browser.get(page)
    find(browser, "#ask")


def find(browser, selector, condition=lambda element: element.is_displayed()):
    """The first element of a selector that is there and meets a condition."""
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    def found(driver):
        return next((e for e in driver.find_elements(By.CSS_SELECTOR, selector) if condition(e)), None)

    wait = WebDriverWait(browser, PATIENCE_S, 0.3, ignored_exceptions=[StaleElementReferenceException])
    return wait.until(found, f"no {selector} that is as wanted")


def type_labels(browser, text):
    box = find(browser, "#labels textarea, #labels input")
    box.clear()
    box.send_keys(text)


def chosen(browser):
    """The preset that is marked."""
    return find(browser, "#preset label:has(input:checked)").text.strip()


def upload(browser, selector, *files):
    box = find(browser, f"{selector} input[type=file]", lambda element: True)
    box.send_keys("\n".join(map(str, files)))


def is_inside(browser, selector, outer):
    """Whether an element reaches out of another nowhere."""
    script = """
        const inner = [...document.querySelectorAll(arguments[0])].map(e => e.getBoundingClientRect());
        const box = document.querySelector(arguments[1]).getBoundingClientRect();
        const within = e => e.left >= box.left - 1 && e.right <= box.right + 1
            && e.top >= box.top - 1 && e.bottom <= box.bottom + 1;
        return inner.length > 0 && inner.every(within)
    """
    return browser.execute_script(script, selector, outer)


def screenshot(browser, name):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    assert browser.save_screenshot(str(SCREENSHOTS / f"{name}.png"))


@pytest.mark.parametrize(("device", "width", "height"), [("desktop", 1280, 1100), ("phone", 390, 1650)])
def test_upload_type_ask_and_see_the_bars(browser, page, recordings, device, width, height):
    open_page(browser, page, width, height)
    upload(browser, "#audio", recordings / "long.wav")
    find(browser, "#audio audio, #audio .waveform-container, #audio #waveform", lambda element: True)
    type_labels(browser, ", ".join(QUERIES))
    find(browser, "#preset", lambda e: chosen(browser) == "my own")
    find(browser, "#ask").click()
    bars = find(browser, "#bars", lambda e: all(query in e.text for query in QUERIES))
    shares = [int(word.rstrip("%")) for word in bars.text.split() if word.endswith("%")]
    assert len(shares) >= 3
    assert 98 <= sum(shares[-3:]) <= 102
    assert "fits best" in find(browser, "#answer", lambda e: "fits best" in e.text).text
    find(browser, "#timeline canvas, #timeline svg")
    find(browser, "#legend", lambda e: all(query in e.text for query in QUERIES))
    time.sleep(1)  # the bars grow
    screenshot(browser, device)
    across = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
    assert across[0] <= across[1], "the page is wider than the screen"
    for selector in ("#ask", "#bars", "#labels", "#preset", "#legend", "#legend span:last-child"):
        box = find(browser, selector).rect
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width + 1
    for outer, inner in (("#legend", "#legend span"), ("#timeline", "#timeline canvas, #timeline svg")):
        assert is_inside(browser, inner, outer), f"a part of {inner} is cut off"


def test_a_preset_fills_in_its_queries_until_others_are_typed(browser, page):
    open_page(browser, page, 1280, 1000)
    assert chosen(browser) == "emotion"
    find(browser, "#preset label", lambda e: e.text.strip() == "gender").click()
    box = find(browser, "#labels textarea, #labels input", lambda e: "a female is speaking" in e.get_attribute("value"))
    assert chosen(browser) == "gender"
    box.send_keys(", a child is speaking")
    find(browser, "#preset label", lambda e: chosen(browser) == "my own")
    assert box.get_attribute("value") == "a female is speaking, a male is speaking, a child is speaking"


def test_the_browser_keeps_no_recordings(browser, page):
    open_page(browser, page, 1280, 1000)
    assert browser.execute_script("return window.gradio_config.run_history") is False


def test_errors_are_shown(browser, page, recordings):
    open_page(browser, page, 1280, 1000)
    find(browser, "#ask").click()
    find(browser, ".toast-body, .toast-wrap", lambda e: "Record or upload speech first" in e.text)
    screenshot(browser, "error")


def test_a_batch_becomes_a_table_to_download(browser, page, recordings, tmp_path):
    download = {"behavior": "allow", "downloadPath": str(tmp_path)}
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", download)
    open_page(browser, page, 1280, 1000)
    find(browser, "button[role=tab]", lambda e: e.text.strip() == "Several files").click()
    type_labels(browser, "angry, calm")
    upload(browser, "#files", *(recordings / f"{name}.wav" for name in ("short", "long", "text")))
    # a file's stem and ending are elements of their own
    find(browser, "#files", lambda e: "text.wav" in "".join(e.text.split()))
    find(browser, "#ask_all").click()
    table = find(browser, "#table", lambda e: "is no audio that can be read" in e.text)
    assert "short.wav" in table.text
    assert "long.wav" in table.text
    screenshot(browser, "batch")
    find(browser, "#download").click()
    for _ in range(PATIENCE_S):
        if (tmp_path / "scores.csv").is_file():
            break
        time.sleep(1)
    lines = (tmp_path / "scores.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "file,best,angry,calm,problem"
    assert len(lines) == 4
