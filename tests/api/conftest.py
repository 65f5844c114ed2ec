from tests.web import app, empty_storage, served, session

__all__ = ["app", "empty_storage", "served", "session"]
