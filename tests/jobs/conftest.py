"""The empty storage that the tests of jobs copy."""

from tests.web import empty_storage

__all__ = ["empty_storage"]
