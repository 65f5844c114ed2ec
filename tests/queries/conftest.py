from tests.web import app, empty_storage, session

__all__ = ["app", "empty_storage", "session"]
