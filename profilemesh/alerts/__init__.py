"""Alerts: which finding is told on which channel, and how it gets there although processes and servers die.

In time order: `outbox.enqueue` writes an item per finding and route, in the transaction that stores the finding. When
the tick is over, `delivery.deliver` makes one digest of each route's items, whose words and key are fixed from then on,
and sends the digests of each route one after the other until its channels have taken them.
"""
