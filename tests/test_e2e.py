"""The demo's page in a real browser: upload, type, ask, look. `make test-e2e` runs it and keeps the screenshots."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from paraclap.synthetic_speech import SAMPLING_RATE, VOICES, synthesise

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[1]
SCREENSHOTS = ROOT / "build" / "e2e"
PATIENCE_S = 180
QUERIES = ("speaks slowly", "shouts", "<b>whispers</b>")  # what is typed is text, not HTML
SIZES = {"desktop": (1280, 1100), "phone": (390, 1700)}
HOUR_S = 3600


@pytest.fixture(scope="module")
def page(tiny_release, tmp_path_factory):
    """The address of the app, served by a process of its own with a small model."""
    log, temporary = tmp_path_factory.mktemp("app") / "log.txt", tmp_path_factory.mktemp("temporary")
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "GRADIO_ANALYTICS_ENABLED": "False", "TMPDIR": str(temporary)}
    port = free_port()
    command = [sys.executable, str(ROOT / "space" / "app.py"), "--model", str(tiny_release), "--port", str(port)]
    command += ["--max_seconds", str(HOUR_S + 1)]  # as its owner may
    with open(log, "w") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT, cwd=log.parent)
        try:
            yield wait_for(f"http://127.0.0.1:{port}/", server, log)
        finally:
            server.terminate()
            assert server.wait(30) == 128 + signal.SIGTERM
            assert not [path for path in temporary.rglob("*") if path.is_file()], "recordings are left behind"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


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
    """A short recording, a long one, one of an hour, an m4a, and a text that only claims to be one."""
    folder = tmp_path_factory.mktemp("recordings")
    for name, seconds in (("short", 2), ("long", 9)):
        soundfile.write(folder / f"{name}.wav", synthesise(VOICES[1], seconds), SAMPLING_RATE)
    minute = np.concatenate([synthesise(voice, 12) for voice in VOICES] + [np.zeros(12 * SAMPLING_RATE, np.float32)])
    with soundfile.SoundFile(folder / "hour.mp3", "w", SAMPLING_RATE, 1, format="MP3") as file:
        for _ in range(HOUR_S * SAMPLING_RATE // len(minute)):
            file.write(minute)
    write_m4a(folder / "phone.m4a", synthesise(VOICES[2], 3))
    (folder / "text.wav").write_text("this is no audio")
    return folder


def write_m4a(file, waveform):
    """AAC in MP4, as telephones record."""
    with av.open(str(file), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=SAMPLING_RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(waveform[None], format="fltp", layout="mono")
        frame.sample_rate = SAMPLING_RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)


def open_page(browser, page, device="desktop", theme="light"):
    """Opens the page at exactly this size, which a window cannot have below some 500 pixels."""
    width, height = SIZES[device]
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": device == "phone"},
    )
    browser.get(f"{page}?__theme={theme}")
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


def screenshot(browser, name):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    assert browser.save_screenshot(str(SCREENSHOTS / f"{name}.png"))


def ask_about(browser, file, queries=None):
    """Uploads a recording, types queries, asks, and waits for the answer."""
    upload(browser, "#audio", file)
    find(browser, "#audio audio, #audio .waveform-container, #audio #waveform", lambda element: True)
    if queries is not None:
        ask_again(browser, queries)
    else:
        find(browser, "#ask").click()
        find(browser, "#answer", lambda e: "fits best" in e.text)


def ask_again(browser, queries):
    type_labels(browser, ", ".join(queries))
    find(browser, "#preset", lambda e: chosen(browser) == "my own")
    find(browser, "#ask").click()
    find(browser, "#bars", lambda e: all(query in e.text for query in queries))
    find(browser, "#answer", lambda e: "fits best" in e.text)


def assert_nothing_sticks_out(browser):
    """No part of the page is wider than the screen, hidden behind its right edge or scrolled away in a box."""
    script = """
        const across = [document.documentElement.scrollWidth, window.innerWidth];
        const parts = "#bars *, #answer *, #timeline *, #table *, #labels, #preset label, #ask";
        const outside = [...document.querySelectorAll(parts)]
            .filter(e => e.getClientRects().length && e.closest("svg") === null
                && (e.getBoundingClientRect().right > window.innerWidth + 1 || e.getBoundingClientRect().left < -1));
        return [across[0] <= across[1], outside.map(e => e.outerHTML.slice(0, 80))];
    """
    fits, outside = browser.execute_script(script)
    assert fits, "the page is wider than the screen"
    assert outside == []


def bands(browser):
    """The queries over time: text, and the width and height of its band in pixels as drawn."""
    script = """
        const queries = [...document.querySelectorAll("#timeline .query")].map(e => e.textContent);
        const sizes = [...document.querySelectorAll("#timeline .band")].map(
            e => [e.complete && e.naturalWidth > 0, e.getBoundingClientRect().width, e.getBoundingClientRect().height]);
        return queries.map((query, i) => [query, ...sizes[i]]);
    """
    return browser.execute_script(script)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("device", SIZES)
def test_upload_type_ask_and_see_the_bars_and_the_bands(browser, page, recordings, device, theme):
    open_page(browser, page, device, theme)
    ask_about(browser, recordings / "long.wav", QUERIES)
    bars = find(browser, "#bars", lambda e: e.text.count("%") >= 3)
    shares = [int(word.rstrip("%")) for word in bars.text.split() if word.endswith("%")]
    assert 98 <= sum(shares[-3:]) <= 102
    find(browser, "#timeline .band")
    time.sleep(1)  # the bars grow
    screenshot(browser, f"{device}-{theme}")
    assert_nothing_sticks_out(browser)
    drawn = bands(browser)
    assert [query for query, *_ in drawn] == list(QUERIES)
    assert all(loaded and width > 250 and height > 10 for _, loaded, width, height in drawn)
    assert not browser.find_elements("css selector", "#answer b b, #timeline b, #bars b"), "what is typed is no HTML"
    colour = browser.execute_script("return getComputedStyle(document.querySelector('#answer')).color")
    brightness = sum(map(int, re.findall(r"\d+", colour)[:3]))
    assert (brightness > 450) == (theme == "dark"), f"text of the colour {colour}"


def test_a_second_question_is_shown_over_time_too(browser, page, recordings):
    open_page(browser, page)
    ask_about(browser, recordings / "long.wav", ["angry", "calm"])
    assert [query for query, *_ in bands(browser)] == ["angry", "calm"]
    ask_again(browser, ["is loud", "is quiet", "calm", "is so-so"])
    find(browser, "#timeline", lambda e: "is so-so" in e.text)
    drawn = bands(browser)
    assert [query for query, *_ in drawn] == ["is loud", "is quiet", "calm", "is so-so"]
    assert all(loaded and width > 600 and height > 10 for _, loaded, width, height in drawn)


def test_a_typed_query_is_asked_as_it_stands(browser, page, recordings):
    open_page(browser, page)
    box = find(browser, "#labels textarea, #labels input")
    assert "speaker is angry" in box.get_attribute("value")
    box.send_keys(", speaks very quickly")
    find(browser, "#preset", lambda e: chosen(browser) == "my own")
    ask_about(browser, recordings / "short.wav")
    text = find(browser, "#bars", lambda e: "speaks very quickly" in e.text).text
    assert "speaker is speaks" not in text
    assert "speaker is angry" in text
    assert not browser.find_elements("css selector", "#template"), "there is nothing hidden that goes with the queries"


def test_a_preset_fills_in_its_queries_until_others_are_typed(browser, page):
    open_page(browser, page)
    assert chosen(browser) == "emotion"
    find(browser, "#preset label", lambda e: e.text.strip() == "gender").click()
    box = find(browser, "#labels textarea, #labels input", lambda e: "a female is speaking" in e.get_attribute("value"))
    assert chosen(browser) == "gender"
    box.send_keys(", a child is speaking")
    find(browser, "#preset label", lambda e: chosen(browser) == "my own")
    assert box.get_attribute("value") == "a female is speaking, a male is speaking, a child is speaking"


def test_an_hour_is_shown_in_bands_that_fit(browser, page, recordings):
    open_page(browser, page)
    ask_about(browser, recordings / "hour.mp3", ["angry", "calm", "bored"])
    find(browser, "#timeline", lambda e: "1:00:00" in e.text)
    assert "of 1:00:00 h of audio" in find(browser, "#answer").text
    time.sleep(1)
    screenshot(browser, "hour")
    assert len(bands(browser)) == 3
    assert_nothing_sticks_out(browser)


@pytest.mark.parametrize("device", SIZES)
def test_long_queries_stay_on_the_page(browser, page, recordings, device):
    open_page(browser, page, device)
    queries = ["a" * 90, "speaks as somebody does who has told the same story to the same people many times"]
    ask_about(browser, recordings / "long.wav", queries)
    find(browser, "#timeline .band")
    time.sleep(1)
    screenshot(browser, f"long-queries-{device}")
    assert_nothing_sticks_out(browser)
    for share in browser.find_elements("css selector", "#bars .confidence"):
        assert share.size["width"] > share.size["height"], "a number stands on one line"


def test_m4a_is_read(browser, page, recordings):
    open_page(browser, page)
    ask_about(browser, recordings / "phone.m4a", ["angry", "calm"])


def test_the_browser_keeps_no_recordings(browser, page):
    open_page(browser, page)
    assert browser.execute_script("return window.gradio_config.run_history") is False


def test_an_error_stands_where_the_answer_would(browser, page, recordings):
    open_page(browser, page)
    find(browser, "#ask").click()
    find(browser, "#answer", lambda e: "Record or upload speech first." in e.text)
    screenshot(browser, "error")
    assert not [e for e in browser.find_elements("css selector", "span.error, .error") if e.is_displayed()]
    type_labels(browser, ", ".join(f"query {number}" for number in range(31)))
    find(browser, "#ask").click()
    find(browser, "#answer", lambda e: "31 queries are too many: expected 2 to 30 queries" in e.text)
    assert "2 to 30 queries of up to 100 characters" in find(browser, "#labels").text, "the limits are said before"
    ask_about(browser, recordings / "short.wav", ["angry", "calm"])  # and it goes on


def test_the_keyboard_is_enough(browser, page, recordings):
    from selenium.webdriver.common.keys import Keys

    open_page(browser, page)
    upload(browser, "#audio", recordings / "short.wav")
    find(browser, "#audio audio, #audio .waveform-container, #audio #waveform", lambda element: True)
    find(browser, "#labels textarea, #labels input").send_keys("")  # gives it the focus
    for _ in range(25):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        if browser.switch_to.active_element.get_attribute("id") == "ask":
            break
    assert browser.switch_to.active_element.get_attribute("id") == "ask"
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    find(browser, "#answer", lambda e: "fits best" in e.text)


@pytest.mark.parametrize("device", SIZES)
def test_a_batch_becomes_a_table_to_download(browser, page, recordings, tmp_path, device):
    download = {"behavior": "allow", "downloadPath": str(tmp_path)}
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", download)
    open_page(browser, page, device)
    find(browser, "button[role=tab]", lambda e: e.text.strip() == "Several files").click()
    type_labels(browser, "angry, calm, speaks as somebody does who has told the same story many times")
    upload(browser, "#files", *(recordings / f"{name}.wav" for name in ("short", "long", "text")))
    # a file's stem and ending are elements of their own
    find(browser, "#files", lambda e: "text.wav" in "".join(e.text.split()))
    find(browser, "#ask_all").click()
    table = find(browser, "#table", lambda e: "Not used" in e.text)
    assert "short.wav" in table.text
    assert "long.wav" in table.text
    assert "2 of 3 recordings used" in find(browser, "#batch_answer").text
    time.sleep(1)
    screenshot(browser, f"batch-{device}")
    cell = find(browser, "#table td", lambda e: e.is_displayed() and "Not used" in e.text).rect
    assert cell["x"] >= 0
    assert cell["x"] + cell["width"] <= SIZES[device][0] + 1, "what is wrong with a file is on the screen"
    assert_nothing_sticks_out(browser)
    find(browser, "#download").click()
    for _ in range(PATIENCE_S):
        if (tmp_path / "scores.csv").is_file():
            break
        time.sleep(1)
    lines = (tmp_path / "scores.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("file,best,angry,calm,")
    assert lines[0].endswith(",problem")
    assert len(lines) == 4
