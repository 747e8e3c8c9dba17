from functions.ingest.main import app


def test_the_app_needs_nothing_to_be_imported() -> None:
    """Importing the app loads no model and contacts no store: its state comes with its start."""
    assert app.title == "koubo ingest"
    assert not hasattr(app.state, "backlog")
