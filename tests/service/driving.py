"""What tests of the page do in it: choose castings, wait for answers, stand in for the service."""

from tests.service.chromium import Browser

KEY = "geheim-ä"


def choose(page: Browser, *paths: str) -> None:
    page.send("#files", "\n".join(paths))


def wait_for_sum(page: Browser, text: str) -> None:
    page.wait(f"document.querySelector('#sum').innerText.match(/^{text}$/)")


def refuse(page: Browser, condition: str, status: int) -> None:
    """Answer instead of the service where a condition on the `body` of a /score holds."""
    page.run(f"""
        const real = window.fetch;
        window.fetch = (path, {{body, ...rest}} = {{}}) =>
          path === "score" && ({condition})
            ? Promise.resolve(new Response('{{"error": "as the test says"}}',
                {{status: {status}, headers: {{"Retry-After": "1"}}}}))
            : real(path, {{body, ...rest}});
    """)
