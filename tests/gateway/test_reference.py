from html.parser import HTMLParser

from functions.gateway.reference import page

from .conftest import Gateway


class Links(HTMLParser):
    """Everything that a page names to be fetched or gone to, and the places that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "href" and tag == "a":
                self.links.append(value or "")
            elif name in ("src", "href", "data", "action"):
                self.fetched.append(value or "")
            elif name == "id":
                self.places.add(value or "")


def test_the_page_fetches_nothing(gateway: Gateway) -> None:
    """It is whole as it comes, leads nowhere but to itself and the document, and says so."""
    answer = gateway.client.get("/docs")
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    found = Links(answer.text)
    assert found.fetched == []
    assert "openapi.json" in found.links
    places = {link.removeprefix("#") for link in found.links if link != "openapi.json"}
    assert places <= found.places, "every link leads somewhere"
    assert "@import" not in answer.text
    assert gateway.client.get("/redoc").status_code == 404


def test_the_page_has_every_route(gateway: Gateway) -> None:
    """What the document says stands there, each route with its answers."""
    document = gateway.client.get("/openapi.json").json()
    text = page(document)
    for path, operations in document["paths"].items():
        for method in operations:
            assert f"<code>{method.upper()} {path}</code>" in text
    for name in document["components"]["schemas"]:
        assert f'id="{name}"' in text


def test_what_others_wrote_is_no_markup() -> None:
    """Words of a document are shown as they are."""
    evil = "<script>x</script>"
    answer = {"description": evil, "content": {evil: {"schema": {"type": evil}}}}
    parameter = {"name": evil, "in": evil, "description": evil}
    operation = {"description": evil, "parameters": [parameter], "responses": {"200": answer}}
    document = {
        "info": {"title": evil, "description": evil},
        "paths": {evil: {"get": operation}},
        "components": {"schemas": {evil: {"description": evil, "example": evil}}},
    }
    assert "<script>" not in page(document)
