"""Watch, BulkSetStatus, wakes."""

from suite import *

WOKEN = {
    "status": "STATUS_ACTIVE",
    "reason": "REASON_SNOOZE_EXPIRED",
    "fence": 2,
    "snoozed_until": "$unset",
    "missed_inbound": 0,
}
WAKE = {
    "from": "STATUS_SNOOZED",
    "to": "STATUS_ACTIVE",
    "reason": "REASON_SNOOZE_EXPIRED",
    "fence": 2,
}

WAKES = [
    case(
        "a snooze ends by itself, on its time, once",
        set_status(snoozed("1s"), save={"end": "contact.snoozed_until"}),
        activity("INBOUND_MESSAGE", {"contact": {"missed_inbound": 1}}),
        until(get({**WOKEN, "since": "$end"})),
        check({"decision": "DECISION_REPLY", "reason": "REASON_SNOOZE_EXPIRED", "fence": 2}),
        commit(1, {"granted": False}),
        commit(2, {"granted": True}),
        until(history({"events": [{**WAKE, "due": "$end", "missed_inbound": 1}, {"fence": 1}]})),
        in_account("GetStats", {"active": 1, "snoozed": 0}),
    ),
    case(
        "a snooze that was set anew wakes only at its new end",
        set_status(snoozed("1s"), contact="again"),
        set_status(snoozed("7200s"), contact="again"),
        set_status(snoozed("1.5s"), contact="after"),
        until(history({"events": [WAKE, {"fence": 1}]}, contact="after")),
        get({"status": "STATUS_SNOOZED", "fence": 2}, contact="again"),
        history({"events": [{"fence": 2}, {"fence": 1}]}, contact="again"),
    ),
    case(
        "a running snooze ends on time while the bot is off",
        set_status(snoozed("1s")),
        set_policy(mode="MODE_OFF"),
        until(get({**WOKEN, "mode": "MODE_OFF"})),
        check({"decision": "DECISION_SILENT", "reason": "REASON_MODE_OFF"}),
        until(history({"events": [WAKE, {"fence": 1}]})),
    ),
    case(
        "what was deleted does not wake",
        set_status(snoozed("1s"), contact="gone"),
        delete({"existed": True}, contact="gone"),
        set_status(snoozed("1.5s"), contact="after"),
        until(get({"reason": "REASON_SNOOZE_EXPIRED"}, contact="after")),
        history({"events": []}, contact="gone"),
        get({"revision": 0}, contact="gone"),
    ),
]

WATCHES = [
    case(
        "a watch tells every change as it is committed",
        *watch(),
        set_status({**snoozed(), "actor": "ann"}, save={"end": "contact.snoozed_until"}),
        event(
            {
                "seq": ">0",
                "at": "~now+0s",
                "account_id": "$acct",
                "contact_id": "c1",
                "from": "STATUS_ACTIVE",
                "to": "STATUS_SNOOZED",
                "reason": "REASON_SET",
                "actor": "ann",
                "fence": 1,
                "snoozed_until": "$end",
                "due": "$unset",
            },
            save={"seq": "event.seq"},
        ),
        activity("BOT_MESSAGE"),
        activity("STOP_KEYWORD"),
        event({"reason": "REASON_STOP_KEYWORD", "fence": 2}),
        cancel(),
        # from the last one handled: nothing lost, nothing twice
        *watch(after_seq="$seq"),
        event({"reason": "REASON_STOP_KEYWORD"}),
        cancel(),
        *watch(from_start=True),
        event({"seq": "$seq"}),
        event({"reason": "REASON_STOP_KEYWORD"}),
        cancel(),
        needs={"stream"},
    ),
    case(
        "a watch can be of some contacts",
        *watch(contact_ids=["c2", "c3"]),
        *(set_status(INACTIVE, contact=one) for one in ["c1", "c2", "c4", "c3"]),
        event({"contact_id": "c2"}),
        event({"contact_id": "c3"}),
        cancel(),
        needs={"stream"},
    ),
    case(
        "a wake is told with when it was due and what was missed",
        *watch(),
        set_status(snoozed("1s"), save={"end": "contact.snoozed_until"}),
        activity("INBOUND_MESSAGE"),
        event({"to": "STATUS_SNOOZED"}),
        event({**WAKE, "due": "$end", "missed_inbound": 1, "at": "$set"}),
        cancel(),
        needs={"stream"},
    ),
    case(
        "a watch of all accounts has every seq once",
        *watch(account_id="", save="start"),
        *(set_status(ACTIVE if i % 2 else INACTIVE) for i in range(6)),
        get(save={"last": "last_seq"}),
        {"do": "dense", "stream": "w", "after": "$start", "to": "$last"},
        cancel(),
        needs={"stream"},
    ),
    case(
        "cursors and contacts of a watch are checked",
        *refused_stream("Watch", "OUT_OF_RANGE", "after_seq", after_seq=1 << 40),
        *refused_stream("Watch", "INVALID_ARGUMENT", "from_start", after_seq=1, from_start=True),
        *refused_stream("Watch", "INVALID_ARGUMENT", "contact_ids", contact_ids=["c"] * 1001),
        *refused_stream("Watch", "INVALID_ARGUMENT", "contact_ids[0]", contact_ids=[""]),
        *refused_stream("Watch", "INVALID_ARGUMENT", "account_id", account_id="x" * 65),
        needs={"stream"},
    ),
    case(
        "a deadline ends a watch",
        *refused_stream("Watch", "DEADLINE_EXCEEDED", "", timeout_ms=300),
        needs={"stream"},
    ),
]

BULKS = [
    case(
        "a bulk change goes over all that match and leaves what is locked",
        *(set_status(INACTIVE, contact=f"c{i}") for i in range(3)),
        set_status({**INACTIVE, "lock": True}, contact="locked"),
        set_status(snoozed(), contact="sleeping"),
        *bulk(
            {"scanned": 5, "matched": 4, "changed": 0, "done": True},
            if_status="STATUS_INACTIVE",
            change=ACTIVE,
            dry_run=True,
        ),
        check({"status": "STATUS_INACTIVE"}, "c0"),
        *bulk(
            {"scanned": 5, "matched": 4, "changed": 3, "skipped_locked": 1, "done": True},
            if_status="STATUS_INACTIVE",
            change={**ACTIVE, "actor": "ann"},
        ),
        get({"status": "STATUS_ACTIVE", "reason": "REASON_BULK_SET", "actor": "ann"}, "c0"),
        get({"status": "STATUS_INACTIVE", "locked": True}, "locked"),
        get({"status": "STATUS_SNOOZED"}, "sleeping"),
        needs={"stream"},
    ),
    case(
        "a bulk change can ask for a reason",
        activity("MANUAL_MESSAGE", contact="a"),
        set_status(snoozed(), contact="b"),
        *bulk(
            {"scanned": 2, "matched": 1, "changed": 1, "done": True},
            if_reason="REASON_MANUAL_MESSAGE",
            change=ACTIVE,
        ),
        check({"status": "STATUS_ACTIVE"}, "a"),
        check({"status": "STATUS_SNOOZED"}, "b"),
        needs={"stream"},
    ),
    case(
        "a bulk change of nobody is done at once",
        *bulk({"scanned": 0, "matched": 0, "done": True}, change=INACTIVE),
        needs={"stream"},
    ),
    case(
        "a bulk change is checked first",
        *bulk(None, "INVALID_ARGUMENT", "change: is missing"),
        *bulk(None, "INVALID_ARGUMENT", "account_id", account_id="", change=ACTIVE),
        *bulk(None, "INVALID_ARGUMENT", "change.snooze_for", change={"status": "STATUS_SNOOZED"}),
        *bulk(None, "INVALID_ARGUMENT", "if_status", change=ACTIVE, if_status=9),
        *bulk(None, "INVALID_ARGUMENT", "if_reason", change=ACTIVE, if_reason=99),
        set_policy(mode="MODE_OFF"),
        *bulk(None, "FAILED_PRECONDITION", "off", change=ACTIVE),
        needs={"stream"},
    ),
]

CASES = WAKES + WATCHES + BULKS
