"""The page as a whole: its key, its keyboard, its names, and what it asks the network for."""

import json

from tests.service.chromium import DOWN, ENTER, ESCAPE, TAB
from tests.service.driving import KEY, choose, wait_for_sum


def test_it_asks_for_the_key_and_keeps_it_for_the_tab(browser, url):
    browser.open(url)
    browser.run("sessionStorage.clear()")
    browser.open(url)
    browser.wait("document.activeElement.id === 'key'")
    assert browser.run("return document.activeElement.type") == "password"
    browser.press(*"wrong", ENTER)
    browser.wait("document.body.innerText.includes('This is not the key')")
    browser.send("#key", KEY + ENTER)
    browser.wait("document.querySelector('#model-version').innerText === '0'")
    browser.open(url)
    browser.wait("document.querySelector('#model-name').innerText === 'my-castings'")
    assert browser.run("return document.querySelector('#key-form').hidden")
    assert browser.run("return localStorage.length + document.cookie.length") == 0


def test_it_works_by_keyboard_alone(page, castings):
    page.press(TAB)
    assert page.run("return document.activeElement.id") == "files"
    choose(page, *castings[:2])
    wait_for_sum(page, "2 scored.*")
    page.press(TAB, ENTER)
    assert page.run("return document.querySelector('#help').open")
    page.press(TAB)
    assert page.run("return document.activeElement.id") == "order"
    page.press(DOWN)
    assert page.run("return document.activeElement.value") == "dropped"
    page.press(TAB, TAB, ENTER)
    assert page.texts("#large-title") == ["cast_0.png"]
    page.press(ESCAPE)
    assert not page.run("return document.querySelector('#large').open")
    assert page.run("return document.activeElement.ariaLabel") == "Enlarge cast_0.png"


def test_every_control_has_a_name_and_results_are_announced(page, castings):
    choose(page, *castings[:2])
    wait_for_sum(page, "2 scored.*")
    controls = "input, select, progress, .row button, dialog"
    nameless = page.run(f"""
        return [...document.querySelectorAll("{controls}")]
          .filter(e => !e.labels?.length && !e.ariaLabel && !e.ariaLabelledByElements?.length)
          .map(e => e.outerHTML)
    """)
    assert nameless == []
    assert page.run("return document.querySelector('#sum').role") == "status"
    assert page.run("return document.querySelector('#notice').role") == "alert"


def test_nothing_leaves_the_origin_and_the_console_stays_clean(page, castings, url):
    page.log("performance"), page.log("browser")
    page.open(url)
    choose(page, *castings)
    wait_for_sum(page, "5 scored.*")
    events = [json.loads(entry["message"])["message"] for entry in page.log("performance")]
    requested = {
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    }
    assert {f"{url}page/main.js", f"{url}model", f"{url}score"} <= requested
    origin = (url, f"blob:{url}", "data:")
    assert [address for address in requested if not address.startswith(origin)] == []
    # the answers 400 and 404 that the page expects are told as "network"
    assert [entry for entry in page.log("browser") if entry["source"] != "network"] == []
