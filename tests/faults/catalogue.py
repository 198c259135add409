"""All faults, by the name under which a report tells them."""

from __future__ import annotations

from tests.faults import on_messages, on_nats, on_postgres, on_services
from tests.faults.nemesis import Fault

FAULTS: dict[str, Fault] = {
    "service killed": on_services.kill_one,
    "all services killed": on_services.kill_all,
    "service frozen": on_services.freeze_one,
    "worker frozen, a zombie later": on_services.freeze_worker,
    "service stopped": on_services.stop_one,
    "all services stopped": on_services.stop_all,
    "worker hangs": on_messages.hang_worker,
    "NATS killed": on_nats.kill,
    "NATS restarted": on_nats.restart,
    "NATS frozen": on_nats.freeze,
    "NATS wiped": on_nats.wipe,
    "stream deleted": on_nats.delete_stream,
    "consumer deleted": on_nats.delete_consumer,
    "buckets deleted": on_nats.delete_buckets,
    "NATS connections cut": on_nats.cut,
    "NATS black hole": on_nats.black_hole,
    "Postgres killed": on_postgres.kill,
    "Postgres restarted": on_postgres.restart,
    "Postgres frozen": on_postgres.freeze,
    "Postgres connections cut": on_postgres.cut,
    "connection cut in a commit": on_postgres.cut_commit,
    "junk sent": on_messages.send_junk,
    "poison sent": on_messages.send_poison,
    "results repeated": on_messages.repeat_results,
    "results forged": on_messages.forge_results,
}

#: Those that last a moment.
SHORT = (
    "service killed", "service stopped", "all services stopped", "worker hangs", "NATS restarted", "NATS wiped",
    "stream deleted", "consumer deleted", "buckets deleted", "NATS connections cut", "Postgres restarted",
    "Postgres connections cut", "connection cut in a commit", "junk sent", "poison sent", "results repeated",
    "results forged",
)  # fmt: skip

#: For minutes: longer than a lease, and than a client waits for.
AWAY_S = 150.0
OUTAGES: dict[str, Fault] = {
    "NATS away for minutes": on_nats.away(AWAY_S),
    "Postgres away for minutes": on_postgres.away(AWAY_S),
}
