"""The demo's two warehouses: a shop in DuckDB, a support desk in SQLite, and what goes wrong in the shop.

Everything random hangs on a row's key and its day, so that the same days give the same rows.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

DAYS_BEFORE = 45
"""Days of orders that the shop holds before the engine first sees it."""


@dataclass(frozen=True)
class Incident:
    """Something that goes wrong in the shop's load of one day, `days_before_end` of the history.

    `breaks` runs after that day's load, `repairs` before the next one; without it the change stays. `fails` says that
    the engine cannot read the table on that day.
    """

    days_before_end: int
    table: str
    column: str | None
    what: str
    breaks: str = ""
    repairs: str = ""
    fails: bool = False


INCIDENTS = (
    Incident(
        21,
        "customers",
        "email",
        "an import loses the e-mail address of one customer in five; restored the next day",
        "UPDATE customers SET email = NULL WHERE u(customer_id, 'lost') < 0.2",
        "UPDATE customers SET email = address(customer_id, full_name) WHERE email IS NULL",
    ),
    Incident(
        16,
        "web_events",
        None,
        "the load breaks off at noon: about half of the day's events never arrive",
        "DELETE FROM web_events WHERE event_date = today() - 1 AND hour(occurred_at) >= 12",
    ),
    Incident(
        11,
        "products",
        "weight_kg",
        "the column turns from DOUBLE to VARCHAR and stays so",
        "ALTER TABLE products ALTER weight_kg TYPE VARCHAR",
    ),
    Incident(
        7,
        "products",
        "price",
        "prices now include 19 % tax: the whole distribution shifts and stays so; new order lines follow",
        "UPDATE products SET price = round(price * 1.19, 2)",
    ),
    Incident(
        3,
        "orders",
        "channel",
        "a migration renames it to sales_channel; taken back the next day",
        "ALTER TABLE orders RENAME channel TO sales_channel",
        "ALTER TABLE orders RENAME sales_channel TO channel",
    ),
    Incident(3, "recent_orders", None, "the view still asks for orders.channel, so it cannot be read", fails=True),
    Incident(
        1,
        "web_events",
        "duration_ms",
        "the day's durations arrive in seconds instead of milliseconds",
        "UPDATE web_events SET duration_ms = duration_ms // 1000 WHERE event_date = today() - 1",
    ),
)

_FIRST_NAMES = (
    "Amira Anna Aylin Ben Carlos Chiara Daniel Elena Emil Fatima Felix Freya Giulia Hana Ida Igor Ines Jakob Jana "
    "Jonas Karim Lea Linh Lucas Malik Marie Mateo Mila Nadia Nils Noah Olga Omar Paul Priya Rosa Samuel Sofia "
    "Tomas Yuki"
).split()
_LAST_NAMES = (
    "Almeida Andersen Bauer Becker Bernard Costa Dubois Eriksen Fischer Garcia Haddad Hansen Horvat Ivanova Jansen "
    "Kaya Keller Kowalska Larsen Lopez Maier Martin Meyer Moreau Nguyen Novak Okafor Olsen Petrov Ricci Romano Rossi "
    "Sato Schmidt Silva Smit Svensson Tanaka Weber Yilmaz"
).split()
_PLACES = (
    "Berlin|DE Hamburg|DE Munich|DE Cologne|DE Leipzig|DE Vienna|AT Graz|AT Zurich|CH Bern|CH Paris|FR Lyon|FR "
    "Lille|FR Amsterdam|NL Utrecht|NL Brussels|BE Copenhagen|DK Milan|IT Turin|IT Madrid|ES Valencia|ES Lisbon|PT "
    "Warsaw|PL"
).split()
_MATERIALS = "Oak Linen Steel Wool Glass Cork Copper Cotton Ceramic Bamboo Walnut Brass".split()
_THINGS = (
    "Lamp|Lighting Shelf|Storage Blanket|Textiles Kettle|Kitchen Bowl|Kitchen Desk|Office Chair|Office "
    "Planter|Garden Lantern|Lighting Basket|Storage Cushion|Textiles Pan|Kitchen Mug|Kitchen Bench|Garden Mirror|Office"
).split()

_MACROS = """
SET TimeZone = 'UTC';
CREATE TEMP MACRO u(key, salt) AS (hash(key, salt) % 1000003) / 1000003.0;
CREATE TEMP MACRO pick(choices, key, salt) AS choices[1 + CAST(floor(u(key, salt) * len(choices)) AS INTEGER)];
CREATE TEMP MACRO today() AS getvariable('today');
CREATE TEMP MACRO volume(day) AS [1.25, 0.95, 0.9, 0.95, 1.0, 1.1, 1.15][1 + dayofweek(day)]
    * (1 + 0.004 * (day - getvariable('first'))) * (0.95 + 0.1 * u(day, 'volume'));
CREATE TEMP MACRO moment(day, key) AS CAST(day AS TIMESTAMPTZ)
    + to_seconds(CAST(floor(86399 * (0.25 + 0.72 * (u(key, 'hour') + u(key, 'minute')) / 2)) AS BIGINT));
CREATE TEMP MACRO address(id, name) AS lower(replace(name, ' ', '.')) || id || '@'
    || pick(['example.com', 'example.org', 'mail.example.net'], id, 'host');
"""

_SHOP_TABLES = """
CREATE TYPE segment AS ENUM ('consumer', 'business', 'public');
CREATE TYPE order_status AS ENUM ('cart', 'paid', 'shipped', 'delivered', 'returned', 'cancelled');
CREATE TYPE device AS ENUM ('phone', 'desktop', 'tablet');
CREATE TABLE customers (
    customer_id BIGINT NOT NULL, customer_uuid UUID, full_name VARCHAR, email VARCHAR, segment segment, city VARCHAR,
    country VARCHAR, born_on DATE, newsletter BOOLEAN, tags VARCHAR[], preferences JSON, credit_limit DECIMAL(12, 2),
    signed_up_at TIMESTAMPTZ, updated_at TIMESTAMPTZ);
CREATE TABLE products (
    product_id INTEGER NOT NULL, sku VARCHAR, name VARCHAR, category VARCHAR, price DECIMAL(10, 2), weight_kg DOUBLE,
    stock INTEGER, is_active BOOLEAN, attributes JSON, delivery_time INTERVAL, introduced_on DATE);
CREATE TABLE orders (
    order_id BIGINT NOT NULL, customer_id BIGINT, order_date DATE, ordered_at TIMESTAMPTZ, status order_status,
    channel VARCHAR, coupon VARCHAR, discount_percent DOUBLE, total DECIMAL(12, 2), shipped_at TIMESTAMPTZ);
CREATE TABLE order_lines (
    order_id BIGINT NOT NULL, line_no SMALLINT NOT NULL, product_id INTEGER, quantity SMALLINT,
    unit_price DECIMAL(10, 2));
CREATE TABLE web_events (
    event_id UUID NOT NULL, event_date DATE, occurred_at TIMESTAMPTZ, session BLOB, customer_id BIGINT,
    event_type VARCHAR, path VARCHAR, device device, duration_ms INTEGER, scroll_depth FLOAT, properties JSON);
CREATE VIEW recent_orders AS
    SELECT order_id, customer_id, order_date, channel, status, total FROM orders
    WHERE order_date > (SELECT max(order_date) FROM orders) - 7;
"""

# `since` is the first day to load, the day before today() the last. What is random hangs on a row's key alone.
_NEW_CUSTOMERS_AND_PRODUCTS = """
INSERT INTO customers BY NAME
WITH fresh AS (
    SELECT getvariable('customers') + n AS customer_id, greatest(getvariable('since'), today() - 1) AS day
    FROM range(CASE WHEN getvariable('customers') = 1 THEN 6000
        ELSE CAST(22 * volume(today() - 1) AS BIGINT) END) r(n)),
named AS (
    SELECT *, pick(getvariable('firsts'), customer_id, 'first') || ' '
        || pick(getvariable('lasts'), customer_id, 'last') AS full_name,
        pick(getvariable('places'), customer_id, 'place') AS place,
        CASE WHEN getvariable('customers') = 1 THEN day - CAST(1200 * u(customer_id, 'age') AS INTEGER) ELSE day END
        AS signed_up
    FROM fresh)
SELECT customer_id, CAST(md5('customer' || customer_id) AS UUID) AS customer_uuid, full_name,
    address(customer_id, full_name) AS email,
    CASE WHEN u(customer_id, 'segment') < 0.82 THEN 'consumer' WHEN u(customer_id, 'segment') < 0.97 THEN 'business'
        ELSE 'public' END AS segment,
    split_part(place, '|', 1) AS city, split_part(place, '|', 2) AS country,
    CASE WHEN u(customer_id, 'told') < 0.7 THEN DATE '1950-01-01' + CAST(20000 * u(customer_id, 'born') AS INTEGER) END
        AS born_on,
    u(customer_id, 'newsletter') < 0.4 AS newsletter,
    list_filter(['loyal', 'trade', 'press', 'family'], lambda tag: u(customer_id, tag) < 0.15) AS tags,
    json_object('language', pick(['de', 'en', 'fr', 'nl'], customer_id, 'language'), 'dark', u(customer_id, 'd') < 0.3)
        AS preferences,
    CASE WHEN u(customer_id, 'segment') >= 0.82 THEN 500 * CAST(1 + 20 * u(customer_id, 'limit') AS INTEGER) END
        AS credit_limit,
    moment(signed_up, customer_id) AS signed_up_at, moment(signed_up, customer_id) AS updated_at
FROM named;

INSERT INTO products BY NAME
WITH fresh AS (
    SELECT getvariable('products') + n AS product_id
    FROM range(CASE WHEN getvariable('products') = 1 THEN 480 ELSE CAST(1.6 * u(today(), 'new') AS BIGINT) END) r(n)),
named AS (SELECT *, pick(getvariable('things'), product_id, 'thing') AS thing FROM fresh)
SELECT product_id, 'P-' || lpad(CAST(product_id AS VARCHAR), 5, '0') AS sku,
    pick(getvariable('materials'), product_id, 'of') || ' ' || split_part(thing, '|', 1)
        || pick(['', ' S', ' M', ' L', ' XL'], product_id, 'size') AS name,
    split_part(thing, '|', 2) AS category,
    floor(exp(2.1 + 1.5 * u(product_id, 'p') + 1.2 * u(product_id, 'q'))) + 0.95 AS price,
    round(0.1 + 9 * pow(u(product_id, 'weight'), 2), 2) AS weight_kg,
    CAST(200 * u(product_id, 's') AS INTEGER) AS stock,
    true AS is_active, json_object('colour', pick(['white', 'black', 'sand', 'green'], product_id, 'c'),
        'fragile', u(product_id, 'fragile') < 0.2) AS attributes,
    to_days(CAST(1 + 6 * u(product_id, 'days') AS INTEGER)) AS delivery_time,
    today() - CASE WHEN getvariable('products') = 1 THEN CAST(900 * u(product_id, 'since') AS INTEGER) ELSE 0 END
        AS introduced_on
FROM named;
"""

_REST_OF_THE_LOAD = """
CREATE OR REPLACE TEMP TABLE fresh AS
SELECT (SELECT coalesce(max(order_id), 100000) FROM orders) + row_number() OVER (ORDER BY day, n) AS order_id, day
FROM (SELECT CAST(d AS DATE) AS day FROM range(getvariable('since'), today(), INTERVAL 1 DAY) r(d)), range(2000) s(n)
WHERE n < 360 * volume(day);

INSERT INTO order_lines
SELECT order_id, line_no, product_id, 1 + floor(3.2 * pow(u(order_id * 10 + line_no, 'quantity'), 3)), price
FROM fresh CROSS JOIN range(1, 7) l(line_no) JOIN products ON product_id =
    1 + CAST(floor(getvariable('products_now') * pow(u(order_id * 10 + line_no, 'product'), 1.6)) AS INTEGER)
WHERE line_no <= 1 + floor(4.5 * pow(u(order_id, 'lines'), 2.2));

INSERT INTO orders BY NAME
WITH priced AS (
    SELECT order_id, day, sum(quantity * unit_price) AS goods,
        CASE WHEN u(order_id, 'coupon') < 0.12 THEN pick(['SPRING5', 'WELCOME10', 'FRIENDS15'], order_id, 'c') END
        AS coupon
    FROM fresh JOIN order_lines USING (order_id) GROUP BY ALL)
SELECT order_id,
    1 + CAST(floor(getvariable('customers_now') * pow(u(order_id, 'customer'), 1.4)) AS BIGINT) AS customer_id,
    day AS order_date, moment(day, order_id) AS ordered_at,
    CASE WHEN u(order_id, 'status') < 0.1 THEN 'cart' WHEN u(order_id, 'status') < 0.14 THEN 'cancelled' ELSE 'paid' END
        AS status,
    CASE WHEN u(order_id, 'by') < 0.55 THEN 'web' WHEN u(order_id, 'by') < 0.85 THEN 'app'
        WHEN u(order_id, 'by') < 0.95 THEN 'phone' ELSE 'partner' END AS channel,
    coupon, coalesce(CAST(regexp_extract(coupon, '[0-9]+') AS DOUBLE), 0) AS discount_percent,
    goods * (1 - discount_percent / 100) AS total
FROM priced;

INSERT INTO web_events BY NAME
WITH fresh AS (
    SELECT CAST(d AS DATE) AS day, n, hash(d, n // 6) AS visit, md5(CAST(d AS DATE) || '/' || n) AS key
    FROM range(greatest(getvariable('since'), today() - 7), today(), INTERVAL 1 DAY) r(d), range(20000) s(n)
    WHERE n < 2800 * volume(CAST(d AS DATE)))
SELECT CAST(key AS UUID) AS event_id, day AS event_date, moment(day, key) AS occurred_at,
    unhex(md5(CAST(visit AS VARCHAR))) AS session,
    CASE WHEN u(visit, 'known') < 0.35 THEN 1 + CAST(floor(
        getvariable('customers_now') * u(visit, 'who')) AS BIGINT) END AS customer_id,
    CASE WHEN u(key, 'type') < 0.7 THEN 'page_view' WHEN u(key, 'type') < 0.85 THEN 'search'
        WHEN u(key, 'type') < 0.95 THEN 'add_to_cart' WHEN u(key, 'type') < 0.98 THEN 'checkout' ELSE 'purchase' END
        AS event_type,
    CASE WHEN u(key, 'path') < 0.2 THEN '/' WHEN u(key, 'path') < 0.5 THEN '/c/' || lower(split_part(
        pick(getvariable('things'), key, 'category'), '|', 2)) ELSE '/p/' || CAST(1 + 480 * u(key, 'p') AS INTEGER) END
        AS path,
    CASE WHEN u(visit, 'device') < 0.6 THEN 'phone' WHEN u(visit, 'device') < 0.92 THEN 'desktop' ELSE 'tablet' END
        AS device,
    CAST(exp(6.5 + 2.2 * (u(key, 'd') + u(key, 'e') + u(key, 'f') - 0.5)) AS INTEGER) AS duration_ms,
    least(1, 1.15 * sqrt(u(key, 'scroll'))) AS scroll_depth,
    CASE WHEN event_type = 'search' THEN json_object('results', CAST(60 * pow(u(key, 'found'), 2) AS INTEGER)) END
        AS properties
FROM fresh;
DELETE FROM web_events WHERE event_date < today() - 7;

UPDATE orders SET status = 'shipped',
    shipped_at = moment(order_date + 1 + CAST(2 * u(order_id, 'pack') AS INTEGER), order_id)
    WHERE status = 'paid' AND order_date + 1 + CAST(2 * u(order_id, 'pack') AS INTEGER) < today();
UPDATE orders SET status = 'delivered'
    WHERE status = 'shipped' AND order_date + 4 + CAST(3 * u(order_id, 'post') AS INTEGER) < today();
UPDATE orders SET status = 'returned'
    WHERE status = 'delivered' AND order_date + 14 < today() AND u(order_id, 'return') < 0.05;
DELETE FROM order_lines
    WHERE order_id IN (SELECT order_id FROM orders WHERE status = 'cart' AND order_date + 7 < today());
DELETE FROM orders WHERE status = 'cart' AND order_date + 7 < today();

UPDATE customers SET city = split_part(pick(getvariable('places'), customer_id, today()), '|', 1),
    country = split_part(pick(getvariable('places'), customer_id, today()), '|', 2),
    updated_at = moment(today() - 1, customer_id)
    WHERE u(customer_id, today()) < 0.003;
DELETE FROM customers WHERE hash(customer_id, today(), 'forget me') % 5000 = 0;
UPDATE products SET stock = CAST(200 * u(product_id, today()) AS INTEGER) WHERE u(product_id, today() - 1) < 0.3;
UPDATE products SET price = greatest(0.95, price + CASE WHEN u(product_id, today()) < 0.5 THEN -1 ELSE 1 END)
    WHERE hash(product_id, today(), 'price') % 160 = 0;
UPDATE products SET is_active = false WHERE hash(product_id, today(), 'last') % 1200 = 0;
"""


class Shop:
    """The DuckDB warehouse. Each call opens the file and leaves it closed and checkpointed."""

    def __init__(self, path: Path, first: date, end: date) -> None:
        self.path, self.first, self.end = path, first, end

    def create(self) -> None:
        with self._open(self.first) as shop:
            shop.execute(_SHOP_TABLES)

    def load(self, today: date) -> None:
        """What a morning brings: the repairs of yesterday's incident, yesterday's data, today's incident."""
        with self._open(today) as shop:
            if today > self.first:
                shop.execute("".join(f"{each.repairs};" for each in incidents(self.end, today - timedelta(1))))
            self._tell(shop, "customers", "SELECT coalesce(max(customer_id), 0) + 1 FROM customers")
            self._tell(shop, "products", "SELECT coalesce(max(product_id), 0) + 1 FROM products")
            shop.execute(_NEW_CUSTOMERS_AND_PRODUCTS)
            self._tell(shop, "customers_now", "SELECT max(customer_id) FROM customers")
            self._tell(shop, "products_now", "SELECT max(product_id) FROM products")
            shop.execute(_REST_OF_THE_LOAD)
            shop.execute("".join(f"{each.breaks};" for each in incidents(self.end, today)))

    def _tell(self, shop: duckdb.DuckDBPyConnection, name: str, query: str) -> None:
        shop.execute(f"SET VARIABLE {name} = ({query})")

    @contextmanager
    def _open(self, today: date) -> Iterator[duckdb.DuckDBPyConnection]:
        # One thread: the order of rows, and with it the file, is then the same every time.
        with duckdb.connect(str(self.path), config={"threads": 1}) as shop:
            shop.execute(_MACROS)
            since = today - timedelta(DAYS_BEFORE if today == self.first else 1)
            for name, value in (("today", today), ("since", since), ("first", self.first)):
                shop.execute(f"SET VARIABLE {name} = DATE '{value}'")
            lists = {"firsts": _FIRST_NAMES, "lasts": _LAST_NAMES, "places": _PLACES}
            for name, values in (lists | {"things": _THINGS, "materials": _MATERIALS}).items():
                shop.execute(f"SET VARIABLE {name} = {values!r}")
            yield shop


def incidents(end: date, today: date) -> list[Incident]:
    """What goes wrong on a day of a history with this end."""
    return [each for each in INCIDENTS if end - timedelta(each.days_before_end) == today]


_SUPPORT_TABLES = """
CREATE TABLE agents (
    agent_id INTEGER PRIMARY KEY, name TEXT NOT NULL, work_email TEXT, team TEXT, hired_on DATE, shift_starts TIME,
    hourly_rate DECIMAL(6, 2), is_active BOOLEAN);
CREATE TABLE tickets (
    ticket_id INTEGER PRIMARY KEY, opened_at TIMESTAMP NOT NULL, closed_at TIMESTAMP, status TEXT NOT NULL,
    channel TEXT, priority TEXT, subject TEXT, customer_email TEXT, customer_phone VARCHAR(20), agent_id INTEGER,
    first_response_minutes REAL, satisfaction INTEGER, refund NUMERIC(10, 2), is_escalated BOOLEAN);
"""
_SUBJECTS = (
    "Where is my parcel",
    "Damaged on arrival",
    "Wrong size",
    "Invoice for order",
    "Cannot sign in",
    "Return label",
    "Delivery date",
    "Question about care",
    "Coupon refused",
    "Change of address",
)


class Support:
    """The SQLite warehouse. Each call opens the file and leaves it closed.

    Only call it while nothing else in this process has the file open: SQLite's locks do not hold between two
    libraries in one process.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, today: date) -> None:
        """Twelve agents, and the tickets of nine weeks."""
        with self._open() as desk:
            desk.executescript(_SUPPORT_TABLES)
            desk.executemany(
                "INSERT INTO agents VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [_agent(n, today) for n in range(12)]
            )
        for back in range(63, 0, -1):
            self.work(today - timedelta(back))

    def work(self, today: date) -> None:
        """What the team does on a weekday until noon: it opens, answers, closes and tidies up tickets."""
        if not is_workday(today):
            return
        dice = random.Random(today.toordinal())
        with self._open() as desk:
            last = desk.execute("SELECT coalesce(max(ticket_id), 7000) FROM tickets").fetchone()[0]
            fresh = [_ticket(last + 1 + n, today, dice) for n in range(dice.randint(34, 52))]
            desk.executemany(f"INSERT INTO tickets VALUES ({', '.join('?' * 14)})", fresh)
            waiting = desk.execute("SELECT ticket_id, opened_at FROM tickets WHERE status = 'open'").fetchall()
            answered = [_answer(ticket, opened, today, dice) for ticket, opened in waiting if dice.random() < 0.7]
            desk.executemany(
                "UPDATE tickets SET status = ?, closed_at = ?, agent_id = ?, first_response_minutes = ?, "
                "satisfaction = ?, refund = ? WHERE ticket_id = ?",
                answered,
            )
            desk.executemany("DELETE FROM tickets WHERE ticket_id = ?", [(last - dice.randint(0, 400),) for _ in "ab"])
            if dice.random() < 0.2:
                desk.execute(
                    "UPDATE agents SET hourly_rate = hourly_rate + 0.5 WHERE agent_id = ?", (dice.randint(1, 12),)
                )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path)) as desk, desk:
            yield desk


def is_workday(day: date) -> bool:
    return day.weekday() < 5


def _agent(n: int, today: date) -> tuple[Any, ...]:
    dice = random.Random(n)
    name = f"{_FIRST_NAMES[3 * n]} {_LAST_NAMES[(7 * n + 5) % 40]}"
    email = name.lower().replace(" ", ".") + "@support.example.com"
    hired = today - timedelta(dice.randint(90, 2500))
    shift = f"{dice.choice((6, 7, 8, 10)):02}:30:00"
    return n + 1, name, email, ("parcels", "payments", "products")[n % 3], str(hired), shift, 18 + n / 2, n != 4


def _ticket(number: int, today: date, dice: random.Random) -> tuple[Any, ...]:
    opened = datetime.fromisoformat(str(today)) + timedelta(seconds=dice.randint(6 * 3600, 12 * 3600 - 1))
    who = f"{dice.choice(_FIRST_NAMES)}.{dice.choice(_LAST_NAMES)}{dice.randint(1, 99)}@example.com".lower()
    phone = f"+49 30 {dice.randint(1000000, 9999999)}" if dice.random() < 0.6 else None
    channel = dice.choices(("mail", "chat", "phone"), (5, 4, 2))[0]
    priority = dice.choices(("normal", "high", "urgent", "low"), (60, 20, 5, 15))[0]
    subject = f"{dice.choice(_SUBJECTS)} {dice.randint(100000, 125000)}"
    return number, str(opened), None, "open", channel, priority, subject, who, phone, *(None,) * 4, dice.random() < 0.06


def _answer(ticket: int, opened: str, today: date, dice: random.Random) -> tuple[Any, ...]:
    begin = max(datetime.fromisoformat(opened), datetime.fromisoformat(f"{today} 06:00:00"))
    noon = datetime.fromisoformat(f"{today} 12:30:00")
    closed = begin + timedelta(seconds=dice.randint(300, int((noon - begin).total_seconds())))
    minutes = round(dice.lognormvariate(3.2, 0.8), 1)
    rated = dice.choices((1, 2, 3, 4, 5), (1, 1, 3, 8, 10))[0] if dice.random() < 0.45 else None
    refund = round(dice.uniform(5, 90), 2) if dice.random() < 0.12 else None
    return "closed", str(closed), dice.randint(1, 12), minutes, rated, refund, ticket
