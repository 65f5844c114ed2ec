"""What a WSGI server loads: `granian --interface wsgi wsgi:app`, or `gunicorn wsgi:app`."""

from jobs import served_app

app = served_app()
